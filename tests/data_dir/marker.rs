//! The marker of a directory, and its lock.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use futures::Future;
use kvs::engine::{DataDir, EngineKind, ReadOnlyDir, repair_dir, verify};
use kvs::{KvsEngine, KvsError, Result};
use tempfile::TempDir;

use super::{expect_written, key, kvs, names, sled, tokio_fs, value, write};

#[test]
fn a_second_store_is_refused_even_if_the_marker_is_removed_or_replaced() {
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("kvs-engine");
    let first = kvs(dir.path()).unwrap();
    let is_refused = || {
        let claim = DataDir::claim(dir.path(), EngineKind::Kvs);
        assert!(matches!(claim, Err(KvsError::Locked { .. })));
        let repair = repair_dir(dir.path(), &mut |_, _| {});
        assert!(matches!(repair, Err(KvsError::Locked { .. })));
    };
    is_refused();
    fs::remove_file(&marker).unwrap();
    is_refused();
    fs::write(root_file(&dir), "kvs\n").unwrap();
    fs::rename(root_file(&dir), &marker).unwrap();
    is_refused();
    write(&first, "first");
    drop(first);
    expect_written(&kvs(dir.path()).unwrap(), "first");
}

fn root_file(dir: &TempDir) -> PathBuf {
    dir.path().join("replacement")
}

#[test]
fn without_its_marker_a_directory_is_still_that_of_its_engine() {
    fn check<E: KvsEngine>(open: fn(&Path) -> Result<E>, engine: EngineKind, other: EngineKind) {
        let dir = tempfile::tempdir().unwrap();
        write(&open(dir.path()).unwrap(), "it");
        fs::remove_file(dir.path().join("kvs-engine")).unwrap();
        assert_eq!(DataDir::engine_of(dir.path()).unwrap(), Some(engine));
        let claim = DataDir::claim(dir.path(), other);
        assert!(matches!(claim, Err(KvsError::WrongEngine { found, .. }) if found == engine));
        expect_written(&open(dir.path()).unwrap(), "it");
    }
    check(kvs, EngineKind::Kvs, EngineKind::Sled);
    check(sled, EngineKind::Sled, EngineKind::TokioFs);
}

/// The original is in use.
#[test]
fn a_repair_of_a_copy_by_hard_links_leaves_the_original_as_it_is() {
    let root = tempfile::tempdir().unwrap();
    let [original, copy] = ["original", "copy"].map(|name| root.path().join(name));
    let marker = |dir: &Path| dir.join("kvs-engine");
    write(&kvs(&original).unwrap(), "it");
    let claim = DataDir::claim(&original, EngineKind::Kvs).unwrap();
    fs::write(marker(&original), "kvt\n").unwrap();
    fs::create_dir(&copy).unwrap();
    for file in names(&original) {
        fs::hard_link(&file, copy.join(file.file_name().unwrap())).unwrap();
    }
    repair_dir(&copy, &mut |_, _| {}).unwrap();
    assert_eq!(fs::read_to_string(marker(&original)).unwrap(), "kvt\n");
    assert_eq!(fs::read_to_string(marker(&copy)).unwrap(), "kvs\n");
    drop(claim);
}

/// A child process has a copy of every descriptor until it calls `exec`.
#[test]
fn a_closed_store_is_free_at_once_while_processes_are_started() {
    fn check<E: KvsEngine + Sync>(open: fn(&Path) -> Result<E>) {
        let dir = tempfile::tempdir().unwrap();
        for n in 0..30 {
            let store = open(dir.path()).unwrap_or_else(|error| panic!("round {n}: {error}"));
            store.set(key(n), value("it", n)).wait().unwrap();
        }
    }
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    Command::new("true").status().unwrap();
                }
            });
        }
        let checks = thread::Builder::new().spawn_scoped(scope, || {
            check(kvs);
            check(tokio_fs);
            check(sled);
        });
        let checked = checks.unwrap().join();
        is_done.store(true, Ordering::Relaxed);
        checked.unwrap();
    });
}

#[test]
fn a_server_that_starts_while_its_directory_is_verified_can_open_it_and_is_no_damage() {
    let dir = tempfile::tempdir().unwrap();
    write(&kvs(dir.path()).unwrap(), "before");
    let read = ReadOnlyDir::open(dir.path()).unwrap();
    let mut store = None;
    let report = verify(&read, &mut |_, _| {
        store.get_or_insert_with(|| {
            let store = kvs(dir.path()).unwrap();
            write(&store, "meanwhile");
            store
        });
    });
    assert!(
        matches!(report, Err(KvsError::Changed { .. })),
        "{report:?}"
    );
    assert!(matches!(read.check_unused(), Err(KvsError::Locked { .. })));
    assert!(matches!(
        ReadOnlyDir::open(dir.path()),
        Err(KvsError::Locked { .. })
    ));
    drop(store);
    read.check_unused().unwrap();
    assert!(verify(&read, &mut |_, _| {}).unwrap().is_sound());
}

#[test]
fn a_reader_that_looks_for_a_store_keeps_none_out() {
    let dir = tempfile::tempdir().unwrap();
    drop(DataDir::claim(dir.path(), EngineKind::Kvs).unwrap());
    let is_done = AtomicBool::new(false);
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !is_done.load(Ordering::Relaxed) {
                    let opened = ReadOnlyDir::open(dir.path());
                    assert!(matches!(opened, Ok(_) | Err(KvsError::Locked { .. })));
                }
            });
        }
        let claims = (0..5000).map(|_| DataDir::claim(dir.path(), EngineKind::Kvs).map(drop));
        let refused = claims.filter(Result::is_err).count();
        is_done.store(true, Ordering::Relaxed);
        assert_eq!(refused, 0, "of 5000 claims");
    });
}
