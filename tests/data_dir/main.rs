//! A store and its directory: a store stays in one directory even if names change, one directory
//! has one store, and files keep their owner.

#[path = "../common/mod.rs"]
mod common;
mod marker;
mod owners;
mod place;
mod report;

use std::collections::BTreeMap;
use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use assert_cmd::assert::{Assert, OutputAssertExt};
use assert_cmd::cargo::cargo_bin;
use futures::Future;
use kvs::engine::{KvStoreOptions, SyncLevel};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine, Result, SledKvsEngine, TokioFsEngine};
use tempfile::TempDir;

type Pool = SharedQueueThreadPool;

/// Returns options with small segments, so that a few writes cause new files, compaction and hints.
fn options() -> KvStoreOptions {
    KvStoreOptions::default()
        .segment_bytes(1000)
        .dead_bytes(3000)
}

fn kvs(path: &Path) -> Result<KvStore<Pool>> {
    options().open(path, 2)
}

fn tokio_fs(path: &Path) -> Result<TokioFsEngine> {
    TokioFsEngine::open_with(&options(), path, 2)
}

fn sled(path: &Path) -> Result<SledKvsEngine<Pool>> {
    SledKvsEngine::open(path, SyncLevel::EverySec, 2)
}

fn key(n: usize) -> String {
    format!("key{}", n % 20)
}

/// Returns a value of 100 bytes that contains `whose`.
fn value(whose: &str, n: usize) -> String {
    format!("{whose} {n} {}", "x".repeat(100))
}

fn write(store: &impl KvsEngine, whose: &str) {
    for n in 0..200 {
        store.set(key(n), value(whose, n)).wait().unwrap();
    }
}

fn expect_written(store: &impl KvsEngine, whose: &str) {
    for n in 180..200 {
        let got = store.get(key(n)).wait().unwrap();
        assert_eq!(got, Some(value(whose, n)), "{whose}");
    }
}

fn names(dir: &Path) -> impl Iterator<Item = PathBuf> {
    fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
}

/// Returns the files below a directory, with their contents and their times of modification.
fn files(dir: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let entries = walkdir::WalkDir::new(dir)
        .into_iter()
        .map(|entry| entry.unwrap());
    let files = entries.filter(|entry| entry.file_type().is_file());
    files
        .map(|entry| {
            let bytes = fs::read(entry.path()).unwrap();
            (
                entry.path().to_owned(),
                (bytes, entry.metadata().unwrap().modified().unwrap()),
            )
        })
        .collect()
}

/// A user other than root, with a directory and programs that this user can reach.
struct OtherUser {
    home: TempDir,
    id: Option<u32>,
}

impl OtherUser {
    const ID: u32 = 65534;

    fn new() -> OtherUser {
        let home = tempfile::tempdir().unwrap();
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
        // Another process makes the copies. Otherwise a child that another test starts could
        // inherit the open files, and the system does not run a program that is open for writing.
        let mut copy = Command::new("cp");
        copy.arg(cargo_bin!("kvs-server")).arg(home.path());
        assert!(copy.status().unwrap().success());
        let id = is_root.then_some(OtherUser::ID);
        OtherUser { home, id }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn server(&self) -> Command {
        let mut command = Command::new(self.path("kvs-server"));
        if let Some(id) = self.id {
            command.uid(id).gid(id);
        }
        command
    }

    fn own(&self, path: &Path) {
        if let Some(id) = self.id {
            chown(path, Some(id), Some(id)).unwrap();
        }
    }
}

/// Runs `kvs-server` on a data directory, with flags that do not serve it.
fn check(mut command: Command, how: &[&str], dir: &Path) -> Assert {
    command.args(how).arg("--data-dir").arg(dir).assert()
}

fn newest_segment(dir: &Path) -> PathBuf {
    let segments = files(dir).into_keys();
    let segments = segments.filter(|path| path.extension() == Some("segment".as_ref()));
    segments.max().unwrap()
}

fn damage(segment: &Path) {
    let mut bytes = fs::read(segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(segment, bytes).unwrap();
}
