//! A store stays in the directory that it has opened.

use std::env;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use assert_cmd::assert::OutputAssertExt;
use assert_cmd::cargo::cargo_bin;
use futures::Future;
use kvs::{KvsEngine, KvsError, Result};

use super::owners::chmod;
use super::{OtherUser, expect_written, files, key, kvs, sled, tokio_fs, value, write};
use crate::common::{ServerProcess, Wire};

/// A process has only one working directory, so this is one test for all engines. The other tests
/// use absolute paths.
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
    // sled opens its files by path, and only Linux has a path that follows a directory.
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
        // Ten of these values fill a segment.
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
fn a_new_directory_below_one_that_cannot_be_read_works() {
    let user = OtherUser::new();
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
