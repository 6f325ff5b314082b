//! What opening a store costs: `cargo bench --bench open`. For a million keys of 11 bytes with
//! values of 100, it measures the time with hints and without, and the memory a key takes.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use futures::{Future, future};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine};

type Store = KvStore<SharedQueueThreadPool>;

const KEYS: usize = 1_000_000;
const ROUNDS: usize = 5;

fn main() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), 2).unwrap();
    for start in (0..KEYS).step_by(1000) {
        let sets = (start..start + 1000).map(|n| store.set(format!("key{n:08}"), "x".repeat(100)));
        future::join_all(sets.collect::<Vec<_>>()).wait().unwrap();
    }
    // Closing waits for nothing but the log; hints are written while there are writes.
    drop(store);

    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..ROUNDS {
        times[0].push(open(dir.path()));
        let hints = Path::new("hints");
        for entry in fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            if path.extension() == Some(hints.as_os_str()) {
                fs::remove_file(path).unwrap();
            }
        }
        times[1].push(open(dir.path()));
        // The next write has them written anew.
        let store = Store::open(dir.path(), 2).unwrap();
        for _ in 0..1000 {
            store
                .set("key00000000".into(), "x".repeat(100))
                .wait()
                .unwrap();
        }
    }
    for (name, times) in ["with hints", "without"].iter().zip(&mut times) {
        times.sort();
        println!("open, {name}: {:?} (median of {ROUNDS})", times[ROUNDS / 2]);
    }
    let mut store = None;
    let memory = allocation_counter::measure(|| store = Store::open(dir.path(), 2).ok());
    let per_key = memory.bytes_current as f64 / KEYS as f64;
    println!("index: {per_key:.0} bytes a key, the key's 11 among them");
}

fn open(dir: &Path) -> Duration {
    let start = Instant::now();
    let store = Store::open(dir, 2).unwrap();
    let time = start.elapsed();
    drop(store);
    time
}
