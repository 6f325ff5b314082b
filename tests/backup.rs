//! Copies of a store. However a copy was made, it opens with the contents of one moment, or is
//! refused with an error that explains it. The original does not change.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};

use assert_cmd::cargo::cargo_bin;
use common::ServerProcess;
use futures::Future;
use kvs::client::blocking::KvsClient;
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine};
use tempfile::TempDir;

const KEYS: u64 = 50;

/// Flags with which the server compacts all the time.
fn busy(sync: &str) -> [&str; 4] {
    ["--dead-bytes", "200000", "--sync", sync]
}

/// The sync levels that write to the log in different ways.
const LEVELS: [&str; 2] = ["everysec", "always"];

fn key(n: u64) -> String {
    format!("key{}", n % KEYS)
}

fn value(n: u64) -> String {
    format!("{n:0>2000}")
}

/// Writes the values of 1, 2, 3 and so on, on a thread of its own.
struct Writer {
    acknowledged: Arc<AtomicU64>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    fn start(addr: SocketAddr) -> Writer {
        let (acknowledged, is_over) = <(Arc<AtomicU64>, Arc<AtomicBool>)>::default();
        let (written, stop) = (Arc::clone(&acknowledged), Arc::clone(&is_over));
        let thread = thread::spawn(move || {
            let mut client = KvsClient::connect(addr).unwrap();
            for n in 1.. {
                if stop.load(Ordering::Relaxed) {
                    break;
                }
                client.set(key(n), value(n)).unwrap();
                written.store(n, Ordering::SeqCst);
            }
        });
        let writer = Writer {
            acknowledged,
            is_over,
            thread: Some(thread),
        };
        // All keys exist, and some have been written again.
        writer.wait_for(3 * KEYS);
        writer
    }

    fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::SeqCst)
    }

    fn wait_for(&self, n: u64) {
        while self.acknowledged() < n {
            let thread = self.thread.as_ref().unwrap();
            assert!(!thread.is_finished(), "the writer has failed");
            thread::yield_now();
        }
    }

    fn stop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Checks that the store has the contents after one write, which is not before the write `least`.
fn check_is_of_one_moment(store: &impl KvsEngine, least: u64) {
    let read = |n| -> Option<u64> {
        let value = store.get(key(n)).wait().unwrap()?;
        Some(value.parse().unwrap())
    };
    let all: BTreeMap<_, _> = (0..KEYS).filter_map(|n| Some((n, read(n)?))).collect();
    let last = *all.values().max().expect("an empty copy");
    assert!(
        last >= least,
        "write {least} was acknowledged, {last} is the last"
    );
    let expected = (last - KEYS + 1..=last).map(|n| (n % KEYS, n));
    assert_eq!(all, expected.collect());
}

fn open(dir: &Path) -> kvs::Result<KvStore<SharedQueueThreadPool>> {
    KvStore::open(dir, 1)
}

fn sh(dir: &Path, script: &str) -> bool {
    let programs = cargo_bin!("kvs-server").parent().unwrap();
    let path = format!("{}:{}", programs.display(), std::env::var("PATH").unwrap());
    let mut shell = Command::new("timeout");
    let shell = shell.args(["60", "sh", "-c", script]);
    let status = shell.current_dir(dir).env("PATH", path).output().unwrap();
    status.status.success()
}

#[test]
fn the_command_in_the_page_makes_a_good_copy_of_a_busy_store() {
    let page = include_str!("../docs/guarantees.md");
    let (_, section) = page.split_once("### Backups").unwrap();
    let (_, script) = section.split_once("```sh\n").unwrap();
    let (script, _) = script.split_once("```").unwrap();

    for sync in LEVELS {
        let dir = tempfile::tempdir().unwrap();
        let server = ServerProcess::start(&dir.path().join("data"), &busy(sync));
        let mut writer = Writer::start(server.addr);
        for _ in 0..10 {
            let before = writer.acknowledged();
            assert!(sh(dir.path(), script), "no copy");
            let backup = dir.path().join("backup");
            check_is_of_one_moment(&open(&backup).unwrap(), before);
            fs::remove_dir_all(backup).unwrap();
            writer.wait_for(before + KEYS);
        }
        writer.stop();
    }
}

#[test]
fn a_plain_copy_of_a_busy_store_opens_as_at_some_moment_or_the_error_says_how_to_copy() {
    for sync in LEVELS {
        let dir = tempfile::tempdir().unwrap();
        let server = ServerProcess::start(&dir.path().join("data"), &busy(sync));
        let mut writer = Writer::start(server.addr);
        let (mut opened, mut tries) = (0, 0);
        while opened < 10 || tries < 30 {
            tries += 1;
            assert!(tries < 1000, "hardly any copy can be opened");
            let (before, copy) = (writer.acknowledged(), dir.path().join("copy"));
            let how = ["cp -r data copy", "cp -al data copy"][tries % 2];
            // The store may remove files before they are copied.
            if sh(dir.path(), how) {
                match open(&copy) {
                    Ok(store) => {
                        opened += 1;
                        check_is_of_one_moment(&store, before);
                    }
                    Err(error) => assert!(error.to_string().contains("Backups"), "{error}"),
                }
            }
            fs::remove_dir_all(&copy).unwrap();
        }
        writer.stop();
    }
}

fn files(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut files = BTreeMap::new();
    for entry in walkdir::WalkDir::new(dir) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(dir).unwrap();
            let bytes = fs::read(entry.path()).unwrap();
            files.insert(name.to_str().unwrap().to_owned(), bytes);
        }
    }
    files
}

fn write_some(server: &ServerProcess, value: &str) {
    let mut client = KvsClient::connect(server.addr).unwrap();
    for n in 0..KEYS {
        client.set(key(n), value.to_owned()).unwrap();
    }
}

fn check_all_are(server: &ServerProcess, value: &str) {
    let mut client = KvsClient::connect(server.addr).unwrap();
    for n in 0..KEYS {
        assert_eq!(client.get(key(n)).unwrap().as_deref(), Some(value));
    }
}

#[test]
fn a_server_on_hard_links_changes_nothing_of_the_original() {
    for engine in ["kvs", "tokio-fs", "sled"] {
        for signal in ["TERM", "KILL"] {
            let dir = tempfile::tempdir().unwrap();
            let start =
                |name: &str| ServerProcess::start(&dir.path().join(name), &["--engine", engine]);
            let mut server = start("data");
            write_some(&server, "original");
            server.stop(signal);
            assert!(sh(dir.path(), "cp -al data copy"));
            let before = files(&dir.path().join("data"));
            for _ in 0..2 {
                let mut server = start("copy");
                write_some(&server, "a value of another length");
                check_all_are(&server, "a value of another length");
                assert_eq!(server.stop("TERM"), Some(0));
            }
            let after = files(&dir.path().join("data"));
            assert!(before == after, "{engine} after SIG{signal}");
            check_all_are(&start("data"), "original");
        }
    }
}

/// The original still runs, and has locked a file that the copy shares.
#[test]
fn a_copy_of_hard_links_can_be_used_beside_its_original() {
    for engine in ["kvs", "tokio-fs"] {
        let dir: TempDir = tempfile::tempdir().unwrap();
        let start =
            |name: &str| ServerProcess::start(&dir.path().join(name), &["--engine", engine]);
        let original = start("data");
        write_some(&original, "original");
        assert!(sh(dir.path(), "cp -al data copy"));
        let copy = start("copy");
        write_some(&copy, "copy");
        write_some(&original, "original again");
        check_all_are(&copy, "copy");
        check_all_are(&original, "original again");
    }
}
