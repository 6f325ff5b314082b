//! A store and its directory. A store stays in one directory even if names change, one directory
//! has one store, and files keep their owner.

mod common;

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::SystemTime;

use assert_cmd::assert::{Assert, OutputAssertExt};
use assert_cmd::cargo::cargo_bin;
use common::{ServerProcess, Wire};
use futures::Future;
use kvs::engine::{DataDir, EngineKind, KvStoreOptions, ReadOnlyDir, SyncLevel, verify};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine, KvsError, Result, SledKvsEngine, TokioFsEngine};
use predicates::prelude::*;
use predicates::str::contains;
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

/// The whole process has one working directory, so this is one test for all engines. The other
/// tests use absolute paths.
#[test]
fn a_store_with_a_relative_path_stays_in_its_directory() {
    fn check<E: KvsEngine + Sync>(open: fn(&Path) -> Result<E>) {
        let root = tempfile::tempdir().unwrap();
        let (work, elsewhere) = (root.path().join("work"), root.path().join("elsewhere"));
        for (dir, sets) in [(&work, 0), (&elsewhere, 1)] {
            fs::create_dir(dir).unwrap();
            let store = open(&dir.join("data")).unwrap();
            (0..sets).for_each(|_| write(&store, "elsewhere"));
        }
        let before = files(&elsewhere);
        env::set_current_dir(&work).unwrap();
        let store = open(Path::new("data")).unwrap();
        env::set_current_dir(&elsewhere).unwrap();
        write(&store, "work");
        drop(store);
        assert!(files(&elsewhere) == before, "bytes of another store");
        env::set_current_dir("/").unwrap();
        expect_written(&open(&work.join("data")).unwrap(), "work");
        expect_written(&open(&elsewhere.join("data")).unwrap(), "elsewhere");
    }
    check(kvs);
    check(tokio_fs);
    check(sled);
}

#[test]
fn a_store_stays_in_its_directory_when_that_is_moved_and_another_takes_its_place() {
    fn check<E: KvsEngine + Sync>(open: fn(&Path) -> Result<E>) {
        let root = tempfile::tempdir().unwrap();
        let (path, moved) = (root.path().join("data"), root.path().join("moved"));
        let first = open(&path).unwrap();
        first.set(key(0), value("first", 0)).wait().unwrap();
        fs::rename(&path, &moved).unwrap();
        let second = open(&path).unwrap();
        thread::scope(|scope| {
            scope.spawn(|| write(&first.clone(), "first"));
            write(&second, "second");
        });
        assert!(matches!(open(&moved), Err(KvsError::Locked { .. })));
        drop((first, second));
        expect_written(&open(&moved).unwrap(), "first");
        expect_written(&open(&path).unwrap(), "second");
    }
    check(kvs);
    check(tokio_fs);
    // Other systems have no path that stays with a directory.
    if cfg!(target_os = "linux") {
        check(sled);
    }
}

#[test]
fn a_store_whose_directory_was_removed_says_so_at_the_next_segment() {
    fn check<E: KvsEngine + Sync>(open: fn(&Path) -> Result<E>) {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("data");
        let store = open(&path).unwrap();
        store.set(key(0), value("it", 0)).wait().unwrap();
        fs::remove_dir_all(&path).unwrap();
        // A new directory at the same path is not the same directory.
        fs::create_dir(&path).unwrap();
        // Ten of them fill a segment.
        let refused = (0..20).find_map(|n| store.set(key(n), value("it", n)).wait().err());
        let error = refused.expect("no write was refused").to_string();
        assert!(error.contains("has been removed"), "{error}");
        drop(store);
        assert_eq!(fs::read_dir(&path).unwrap().count(), 0);
    }
    check(kvs);
    check(tokio_fs);
}

#[test]
fn whatever_becomes_of_the_marker_a_second_store_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let marker = dir.path().join("kvs-engine");
    let first = kvs(dir.path()).unwrap();
    let is_refused = || {
        let claim = DataDir::claim(dir.path(), EngineKind::Kvs);
        assert!(matches!(claim, Err(KvsError::Locked { .. })));
        let claim = DataDir::claim_anew(dir.path(), EngineKind::Kvs);
        assert!(matches!(claim, Err(KvsError::Locked { .. })));
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

#[test]
fn a_copy_by_hard_links_has_a_lock_of_its_own() {
    let root = tempfile::tempdir().unwrap();
    let (path, copy) = (root.path().join("data"), root.path().join("copy"));
    let original = DataDir::claim(&path, EngineKind::Kvs).unwrap();
    fs::create_dir(&copy).unwrap();
    let marker = |dir: &Path| dir.join("kvs-engine");
    fs::hard_link(marker(&path), marker(&copy)).unwrap();
    let other = DataDir::claim_anew(&copy, EngineKind::Sled).unwrap();
    assert_eq!(fs::read_to_string(marker(&path)).unwrap(), "kvs\n");
    assert_eq!(fs::read_to_string(marker(&copy)).unwrap(), "sled\n");
    drop((original, other));
}

/// Until it execs, a child process has a copy of every descriptor.
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
fn a_server_that_comes_while_its_directory_is_verified_is_let_in_and_is_no_damage() {
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

/// A user other than root, with a directory and programs that this user can reach.
struct Somebody {
    home: TempDir,
    id: Option<u32>,
}

impl Somebody {
    const ID: u32 = 65534;

    fn new() -> Somebody {
        let home = tempfile::tempdir().unwrap();
        let is_root = fs::metadata("/proc/self").unwrap().uid() == 0;
        fs::set_permissions(home.path(), Permissions::from_mode(0o755)).unwrap();
        // Another process makes the copies. Otherwise a child that another test is starting would
        // have them open for writing, and the system runs no program that is open for writing.
        let mut copy = Command::new("cp");
        copy.arg(cargo_bin!("kvs-server")).arg(home.path());
        assert!(copy.status().unwrap().success());
        let id = is_root.then_some(Somebody::ID);
        Somebody { home, id }
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

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// Runs `kvs-server` on a data directory, without serving it.
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

#[test]
fn verify_needs_no_more_than_to_read_and_changes_nothing() {
    let user = Somebody::new();
    let data = user.path("data");
    write(&kvs(&data).unwrap(), "it");
    for is_damaged in [false, true] {
        let newest = newest_segment(&data);
        if is_damaged {
            chmod(&newest, 0o644);
            damage(&newest);
        }
        for file in files(&data).keys() {
            chmod(file, 0o444);
        }
        chmod(&data, 0o555);
        let before = files(&data);
        let verified = check(user.server(), &["--verify"], &data);
        if is_damaged {
            let name = newest.to_str().unwrap().to_owned();
            verified.code(1).stdout(contains(name));
        } else {
            verified.success().stdout(contains("sound"));
        }
        assert!(files(&data) == before, "changed by --verify");
        chmod(&data, 0o755);
    }
    // A partial backup may lack the marker.
    fs::remove_file(data.join("kvs-engine")).unwrap();
    check(user.server(), &["--verify"], &data)
        .code(1)
        .stdout(contains("damaged"));
    assert!(!data.join("kvs-engine").exists());
}

#[test]
fn verify_refuses_a_directory_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    fs::remove_file(dir.path().join("kvs-engine")).unwrap();
    let mut wire = Wire::connect(server.addr);
    wire.send(r#"{"Set":{"key":"k","value":"v"}}"#);
    assert_eq!(wire.receive(), r#""Set""#);
    let verified = check(
        Command::new(cargo_bin!("kvs-server")),
        &["--verify"],
        dir.path(),
    );
    verified.code(1).stdout("").stderr(contains("in use"));
}

#[test]
fn a_repair_leaves_files_with_the_owner_and_the_mode_of_those_that_they_replace() {
    let user = Somebody::new();
    let data = user.path("data");
    write(&kvs(&data).unwrap(), "it");
    let damaged = newest_segment(&data);
    damage(&damaged);
    fs::write(data.join("kvs-engine"), "kvt\n").unwrap();
    user.own(&data);
    for file in files(&data).keys() {
        user.own(file);
        chmod(file, 0o640);
    }
    let (owner, before) = (fs::metadata(&data).unwrap().uid(), files(&data));
    let program = || Command::new(cargo_bin!("kvs-server"));
    check(program(), &["--repair"], &data).success();
    let after = files(&data);
    assert!(
        after
            .keys()
            .any(|file| !before.contains_key(file) && *file > damaged)
    );
    assert!(
        after
            .keys()
            .any(|file| file.to_str().unwrap().ends_with(".damaged1"))
    );
    for file in after.keys() {
        let metadata = file.metadata().unwrap();
        assert_eq!(
            (metadata.uid(), metadata.mode() & 0o777),
            (owner, 0o640),
            "{file:?}"
        );
    }
}

#[test]
fn a_server_of_root_leaves_files_to_the_owner_of_the_others() {
    let user = Somebody::new();
    let data = user.path("data");
    fs::create_dir(&data).unwrap();
    user.own(&data);
    let owner = fs::metadata(&data).unwrap().uid();
    for n in 0..2 {
        // The second time there is a marker. Its owner counts, and not that of the directory.
        write(&kvs(&data).unwrap(), "it");
        for file in files(&data).keys() {
            assert_eq!(file.metadata().unwrap().uid(), owner, "{file:?}, {n}");
        }
        if user.id.is_some() {
            chown(&data, Some(0), Some(0)).unwrap();
        }
    }
}

#[test]
fn a_new_directory_below_one_that_cannot_be_read_works() {
    let user = Somebody::new();
    let drop_box = user.path("drop");
    fs::create_dir(&drop_box).unwrap();
    user.own(&drop_box);
    chmod(&drop_box, 0o300);
    for n in 0..2 {
        let mut server = ServerProcess::start_as(user.server(), &drop_box.join("a/data"), &[]);
        let mut wire = Wire::connect(server.addr);
        wire.send(&format!(r#"{{"Set":{{"key":"{n}","value":"v"}}}}"#));
        assert_eq!(wire.receive(), r#""Set""#);
        assert_eq!(server.stop("TERM"), Some(0));
    }
    chmod(&drop_box, 0o700);
}

#[test]
fn a_path_need_not_be_utf_8() {
    let root = tempfile::tempdir().unwrap();
    for engine in ["kvs", "tokio-fs", "sled"] {
        let name = [engine.as_bytes(), b"-\xff\xfe"].concat();
        let data = root.path().join(OsStr::from_bytes(&name));
        let token = root.path().join(OsStr::from_bytes(b"token-\xff"));
        fs::write(&token, "secret").unwrap();
        chmod(&token, 0o600);
        for n in 0..2 {
            let mut command = Command::new(cargo_bin!("kvs-server"));
            command
                .args(["--engine", engine, "--auth-token-file"])
                .arg(&token);
            let mut server = ServerProcess::start_as(command, &data, &[]);
            let client = |args: [&str; 2]| {
                let mut client = Command::new(cargo_bin!("kvs-client"));
                let joined = [b"--auth-token-file=", token.as_os_str().as_bytes()].concat();
                client.args(args).args(["--addr", &server.addr.to_string()]);
                client.arg(OsStr::from_bytes(&joined)).assert().success()
            };
            let answer = if n == 0 { "Key not found\n" } else { "\n" };
            client(["get", "key"]).stdout(answer);
            if n == 0 {
                let mut wire = Wire::connect(server.addr);
                wire.send(r#"{"Auth":{"token":"secret"}}"#);
                wire.receive();
                wire.send(r#"{"Set":{"key":"key","value":""}}"#);
                assert_eq!(wire.receive(), r#""Set""#);
                assert_eq!(server.stop("TERM"), Some(0));
            }
        }
    }
}

#[test]
fn a_report_shows_the_first_losses_and_all_of_them_if_asked_to() {
    let dir = tempfile::tempdir().unwrap();
    {
        let store = options()
            .dead_bytes(u64::MAX)
            .open::<Pool>(dir.path(), 2)
            .unwrap();
        let is_hints = |path: &PathBuf| path.extension() == Some("hints".as_ref());
        let mut n = 0;
        // Hints are written in the background.
        while names(dir.path()).filter(is_hints).count() < 5 {
            store.set(format!("key{n}"), value("it", n)).wait().unwrap();
            n += 1;
            assert!(n < 10_000, "no hints");
        }
    }
    // The hints still have the keys of the lost records.
    let mut cut = 0;
    for file in files(dir.path()).keys() {
        let is_sealed = file.with_extension("hints").exists();
        if is_sealed && file.extension() == Some("segment".as_ref()) {
            fs::File::options()
                .write(true)
                .open(file)
                .unwrap()
                .set_len(60)
                .unwrap();
            cut += 1;
        }
    }
    assert!(cut >= 2, "{cut} segments with hints");
    let run = |how: &[&str]| check(Command::new(cargo_bin!("kvs-server")), how, dir.path());
    let lines = |assert: &Assert| {
        let out = String::from_utf8(assert.get_output().stdout.clone()).unwrap();
        out.lines().filter(|line| line.contains("is lost")).count()
    };
    let all = run(&["--verify", "--all"]).code(1);
    let lost = lines(&all);
    assert!(lost > 20, "{lost}");
    let some = run(&["--verify"]).code(1);
    assert!(lines(&some) <= 10);
    let json = run(&["--verify", "--json"]).code(1);
    let report: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    let more = report["lost"].as_array().unwrap().len() - 10;
    let more = contains(format!("and {more} more losses\n"));
    some.stdout(more.and(contains("--all shows all").count(1)));
    all.stdout(contains("--all").not());
    for count in ["segments", "records", "keys", "bytes"] {
        assert!(report[count].is_u64(), "{count}");
    }
    assert!(report["torn"].is_null());
    assert_eq!(report["kept"], serde_json::json!([]));
    let place = &report["damage"][0];
    assert!(place["file"].as_str().unwrap().ends_with(".segment"));
    assert!(place["offset"].is_u64() && place["len"].is_u64() && place["reason"].is_string());
    let losses = report["lost"].as_array().unwrap();
    let value = losses.iter().find(|lost| lost["kind"] == "value").unwrap();
    assert!(value["key"].as_str().unwrap().starts_with("key"));
    assert_eq!(value["older_is_back"], false);

    let json = run(&["--repair", "--json"]).success();
    let report: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    assert_eq!(report["kept"].as_array().unwrap().len(), cut);
    let json = run(&["--verify", "--json"]).success();
    let report: serde_json::Value = serde_json::from_slice(&json.get_output().stdout).unwrap();
    assert_eq!(report["damage"], serde_json::json!([]));
    for flag in ["--json", "--all"] {
        run(&[flag])
            .failure()
            .stderr(contains("--verify").and(contains("--repair")));
    }
}
