//! The engine `kvs` on a thread pool, and the same engine on `tokio::fs`: `cargo bench --bench
//! tokio_fs`.
//!
//! The engines have no cache, so every get reads a file, which the system has in memory. "alone" is
//! one call after the other, "64 at once" is that many pending calls. Each round runs both engines.

use std::env;
use std::fs;
use std::path::Path;
use std::time::Instant;

use futures::{Future, future};
use kvs::engine::{KvStoreOptions, SyncLevel};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine, TokioFsEngine};

const THREADS: u32 = 4;
const KEYS: usize = 1000;
const AT_ONCE: usize = 64;

/// The times of an engine in microseconds.
#[derive(Default)]
struct Times {
    /// One time for each call.
    alone: Vec<f64>,
    /// One time for each round: the mean of its calls.
    together: Vec<f64>,
}

fn key(n: usize) -> String {
    format!("key{:08}", n % KEYS)
}

fn micros(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e6
}

fn quantile(times: &mut [f64], q: f64) -> f64 {
    times.sort_by(f64::total_cmp);
    times[((times.len() - 1) as f64 * q) as usize]
}

fn measure<F: Future>(times: &mut Times, calls: usize, call: impl Fn(usize) -> F)
where
    F::Error: std::fmt::Debug,
{
    for n in 0..calls / 8 {
        let began = Instant::now();
        call(n * 7).wait().unwrap();
        times.alone.push(micros(began));
    }
    let began = Instant::now();
    for start in (0..calls).step_by(AT_ONCE) {
        let calls = (start..start + AT_ONCE).map(|n| call(n * 7));
        future::join_all(calls.collect::<Vec<_>>()).wait().unwrap();
    }
    times.together.push(micros(began) / calls as f64);
}

fn threads() -> usize {
    fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// An engine and its measurements.
struct Contestant<E> {
    name: &'static str,
    engine: E,
    get: Times,
    set: Times,
    threads: usize,
}

impl<E: KvsEngine> Contestant<E> {
    fn new(name: &'static str, open: impl FnOnce() -> E) -> Contestant<E> {
        let before = threads();
        let engine = open();
        for n in 0..KEYS {
            engine.set(key(n), "x".repeat(1000)).wait().unwrap();
        }
        let gets = (0..10 * AT_ONCE).map(|n| engine.get(key(n)));
        future::join_all(gets.collect::<Vec<_>>()).wait().unwrap();
        Contestant {
            name,
            engine,
            get: Times::default(),
            set: Times::default(),
            threads: threads() - before,
        }
    }

    fn round(&mut self, calls: usize) {
        measure(&mut self.get, calls, |n| self.engine.get(key(n)));
        measure(&mut self.set, calls, |n| {
            self.engine.set(key(n), "x".repeat(1000))
        });
    }

    fn print(&mut self) {
        for (call, times) in [("get", &mut self.get), ("set", &mut self.set)] {
            println!(
                "{:9} {call:5} {:>9.1} {:>9.1} {:>10.2} {:>8}",
                self.name,
                quantile(&mut times.alone, 0.5),
                quantile(&mut times.alone, 0.99),
                quantile(&mut times.together, 0.5),
                self.threads,
            );
        }
    }
}

fn compare(level: SyncLevel, calls: usize, rounds: usize) {
    let dirs = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let options = KvStoreOptions::default().sync(level).cache_bytes(0);
    let on_pool =
        |dir: &Path| -> KvStore<SharedQueueThreadPool> { options.open(dir, THREADS).unwrap() };
    let mut kvs = Contestant::new("kvs", || on_pool(dirs[0].path()));
    let mut tokio = Contestant::new("tokio-fs", || {
        TokioFsEngine::open_with(&options, dirs[1].path(), THREADS).unwrap()
    });
    for _ in 0..rounds {
        kvs.round(calls);
        tokio.round(calls);
    }
    println!("\nsync {level}, microseconds a call (medians of {rounds} rounds):\n");
    println!("engine    call      alone alone p99 64 at once  threads");
    kvs.print();
    tokio.print();
}

fn main() {
    // `cargo test` only checks that it runs.
    let (calls, rounds) = if env::args().any(|arg| arg == "--bench") {
        (6400, 7)
    } else {
        (64, 1)
    };
    compare(SyncLevel::EverySec, calls, rounds);
    compare(SyncLevel::Always, calls / 4, rounds);
}
