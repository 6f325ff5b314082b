//! Copies of all pairs from one engine to another with the programs: `kvs-client dump | kvs-client
//! load --addr …`. Meanwhile another client writes other keys to the source.
//!
//! `KVS_PAIRS=1000000 cargo test --release --test copy` copies a million pairs in every test.

mod common;

use std::fs::File;
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use common::{ServerProcess, number};
use kvs::client::blocking::KvsClient;

/// The beginning of the keys that nothing changes during a copy.
const QUIET: &str = "quiet:";

/// The time between two writes of other keys.
const PAUSE: Duration = Duration::from_millis(2);

#[cfg(feature = "sled")]
#[test]
fn from_kvs_to_sled() {
    copy("kvs", "sled");
}

#[cfg(feature = "sled")]
#[test]
fn from_sled_to_kvs() {
    copy("sled", "kvs");
}

#[test]
fn from_kvs_to_tokio_fs() {
    copy("kvs", "tokio-fs");
}

fn copy(from: &str, to: &str) {
    let dir = tempfile::tempdir().unwrap();
    let [source, target] = ["source", "target"].map(|name| dir.path().join(name));
    let source = ServerProcess::start(&source, &["--engine", from]);
    let target = ServerProcess::start(&target, &["--engine", to]);
    let pairs = number("KVS_PAIRS", 20_000);
    let input = dir.path().join("pairs");
    let expected = write_pairs(&input, pairs);
    let load = client("load", source.addr).arg(&input).output().unwrap();
    let printed = String::from_utf8(load.stdout).unwrap();
    assert_eq!(printed, format!("pairs stored: {pairs}\n"));

    let writer = Writer::start(source.addr);
    let start = Instant::now();
    let mut dump = client("dump", source.addr).stdout(Stdio::piped()).spawn();
    let dump = dump.as_mut().unwrap();
    let mut load = client("load", target.addr);
    let load = load.stdin(dump.stdout.take().unwrap()).status().unwrap();
    let time = start.elapsed();
    assert!(load.success() && dump.wait().unwrap().success());
    let written = writer.stop();
    println!("{pairs} pairs in {time:.1?}, while {written} pairs were written");
    assert!(written > 0);

    for server in [&source, &target] {
        assert!(quiet_pairs(server.addr) == expected);
    }
}

/// Writes a dump with this number of pairs, and returns its lines, sorted.
fn write_pairs(path: &Path, pairs: u64) -> Vec<String> {
    let line = |n| {
        let value = format!("{n} \"quoted\" \\ two\nlines\r\n\u{1}\u{7f}é漢🦀 {n:x>30}");
        serde_json::to_string(&(format!("{QUIET}\"é\n{n}"), value)).unwrap()
    };
    let mut lines: Vec<_> = (0..pairs).map(line).collect();
    let mut file = BufWriter::new(File::create(path).unwrap());
    for line in &lines {
        writeln!(file, "{line}").unwrap();
    }
    file.flush().unwrap();
    lines.sort_unstable();
    lines
}

/// Returns the lines of a dump without the keys that the writer writes, sorted.
fn quiet_pairs(addr: SocketAddr) -> Vec<String> {
    let dump = client("dump", addr).args(["--prefix", QUIET]).output();
    let dump = dump.unwrap();
    assert!(dump.status.success());
    let dump = String::from_utf8(dump.stdout).unwrap();
    let mut lines: Vec<_> = dump.lines().map(str::to_owned).collect();
    lines.sort_unstable();
    lines
}

fn client(command: &str, addr: SocketAddr) -> Command {
    let mut client = Command::new(cargo_bin!("kvs-client"));
    client.args([command, "--timeout", "60s", "--addr", &addr.to_string()]);
    client
}

/// A client that sets and removes keys, old and new ones, until it is stopped.
///
/// It pauses, because a dump of kvs reads the newest writes last, and so ends only if it is faster
/// than the writes.
struct Writer {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<u64>,
}

impl Writer {
    fn start(addr: SocketAddr) -> Writer {
        let is_over = Arc::<AtomicBool>::default();
        let stop = Arc::clone(&is_over);
        let thread = thread::spawn(move || {
            let mut client = KvsClient::connect(addr).unwrap();
            let key = |n: u64| format!("busy:{n}");
            for n in 0.. {
                if stop.load(Ordering::Relaxed) {
                    return n;
                }
                client.set(key(n), "x".repeat(100)).unwrap();
                client.set(key(n / 2), "y".repeat(100)).unwrap();
                client.remove(key(n)).unwrap();
                thread::sleep(PAUSE);
            }
            unreachable!("the numbers do not end")
        });
        Writer { is_over, thread }
    }

    /// Returns how many new keys were written.
    fn stop(self) -> u64 {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().unwrap()
    }
}
