//! The cost of opening a store: `cargo bench --bench open`.
//!
//! The store has a million keys of 11 bytes with values of 1000 bytes. The benchmark measures the
//! time with a checkpoint, with hints and with neither, and the memory that a key takes.

use std::fs;
use std::path::{Path, PathBuf};
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
        let sets = (start..start + 1000).map(|n| store.set(format!("key{n:08}"), "x".repeat(1000)));
        future::join_all(sets.collect::<Vec<_>>()).wait().unwrap();
    }
    drop(store);

    let mut times = [(); 3].map(|()| Vec::new());
    let checkpoint = dir.path().join("kvs-checkpoint");
    for _ in 0..ROUNDS {
        assert!(checkpoint.exists());
        times[0].push(open(dir.path()));
        fs::remove_file(&checkpoint).unwrap();
        times[1].push(open(dir.path()));
        fs::remove_file(&checkpoint).unwrap();
        let hints = hints(dir.path());
        for path in &hints {
            fs::remove_file(path).unwrap();
        }
        times[2].push(open(dir.path()));
        // The store writes the hints again while it receives writes.
        let store = Store::open(dir.path(), 2).unwrap();
        while hints.iter().any(|path| !path.exists()) {
            let (key, value) = ("key00000000".to_owned(), "x".repeat(1000));
            store.set(key, value).wait().unwrap();
        }
    }
    let names = ["with a checkpoint", "with hints", "with neither"];
    for (name, times) in names.iter().zip(&mut times) {
        times.sort();
        println!("open, {name}: {:?} (median of {ROUNDS})", times[ROUNDS / 2]);
    }
    let mut store = None;
    let memory = allocation_counter::measure(|| store = Store::open(dir.path(), 2).ok());
    let per_key = memory.bytes_current as f64 / KEYS as f64;
    println!("index: {per_key:.0} bytes a key, the key's 11 among them");
}

fn hints(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    let are_hints = |path: &PathBuf| path.extension() == Some("hints".as_ref());
    paths.filter(are_hints).collect()
}

fn open(dir: &Path) -> Duration {
    let start = Instant::now();
    let store = Store::open(dir, 2).unwrap();
    let time = start.elapsed();
    drop(store);
    time
}
