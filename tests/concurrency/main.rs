//! Random orders in which threads reach the engine's locks and the disk.
//!
//! The engine is compiled here a second time, with other locks: at each lock, and before each call
//! to the disk, another thread may run. `KVS_SCHEDULES` sets the number of orders that each test
//! tries: `KVS_SCHEDULES=10000 cargo test --release --test concurrency`. The test prints an order
//! that fails, and `shuttle::replay` runs it again.

#[path = "../common/mod.rs"]
mod common;
mod slow_disk;
mod sync;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::kvs::engine::{EngineFuture, KvsEngine, Scan, SyncLevel};
use ::kvs::thread_pool::ThreadPool;
use ::kvs::{KvsError, Result};
use common::{later, number, pages};
use futures::executor::{self, Notify};
use futures::{Async, Future};
use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::thread::{self, Thread};
use shuttle::{Config, Runner};

use self::engine::kvs::KvStore;
use self::slow_disk::Machine;

mod error {
    pub(crate) use ::kvs::{KvsError, Result};
}

mod thread_pool {
    pub(crate) use ::kvs::thread_pool::ThreadPool;
}

#[path = "."]
mod engine {
    pub(crate) use ::kvs::engine::{
        DataDir, Deferred, EngineFuture, EngineKind, EngineStats, KvsEngine, MAX_PAGE_BYTES, Page,
        Scan, SyncLevel, files,
    };

    #[path = "../../src/engine/inside.rs"]
    mod inside;

    #[path = "../../src/engine/kvs/mod.rs"]
    #[allow(dead_code, unused_imports, reason = "the tests use a part of it")]
    pub(crate) mod kvs;
}

/// A pool that starts a thread for every job.
#[derive(Debug, Clone)]
struct Threads;

impl ThreadPool for Threads {
    fn new(_: u32) -> Result<Threads> {
        Ok(Threads)
    }

    fn spawn<F: FnOnce() + Send + 'static>(&self, job: F) {
        thread::spawn(job);
    }
}

type Store = KvStore<Threads>;

/// Waits for a future. If no thread wakes this one, the schedule ends and the test fails.
fn wait<T>(mut future: EngineFuture<T>) -> Result<T> {
    struct Unpark(Thread);
    impl Notify for Unpark {
        fn notify(&self, _: usize) {
            self.0.unpark();
        }
    }
    let this = Arc::new(Unpark(thread::current()));
    // Not inside a poll: futures keeps the current task in a thread-local of the system's thread,
    // and all threads of shuttle run on one.
    future.start();
    let mut task = executor::spawn(future);
    loop {
        match task.poll_future_notify(&this, 0)? {
            Async::Ready(item) => return Ok(item),
            Async::NotReady => thread::park(),
        }
    }
}

/// Lets the scheduler run another thread. Unlike a yield, it does not ask for one.
fn pause() {
    shuttle::sync::atomic::AtomicBool::new(false).load(Ordering::SeqCst);
}

/// A key with one writer, which knows the values that a reader may see.
#[derive(Debug)]
struct Key {
    name: &'static str,
    /// The number of writes that have begun, and of those that have completed.
    begun: AtomicU64,
    done: AtomicU64,
}

impl Key {
    fn new(name: &'static str) -> Arc<Key> {
        Arc::new(Key {
            name,
            begun: AtomicU64::new(0),
            done: AtomicU64::new(0),
        })
    }

    /// Returns the value after the `n`th write.
    fn version(&self, n: u64) -> Option<String> {
        let is_there = n > 0 && n % 4 != 3;
        is_there.then(|| format!("{} {n}", self.name))
    }

    fn write(&self, store: &Store) -> EngineFuture<()> {
        let n = self.begun.fetch_add(1, Ordering::SeqCst) + 1;
        match self.version(n) {
            Some(value) => store.set(self.name.to_owned(), value),
            None => store.remove(self.name.to_owned()),
        }
    }

    /// Returns the number of the first write, from `first` on, that set `value`.
    fn written(&self, value: Option<&str>, first: u64) -> u64 {
        let begun = self.begun.load(Ordering::SeqCst);
        let mut writes = first..=begun;
        let Some(n) = writes.find(|n| self.version(*n).as_deref() == value) else {
            panic!("{self:?} had {value:?}, and should have had a value of {first}..={begun}");
        };
        n
    }

    /// Reads the key, and returns the number of the write that set its value, which is at least
    /// `seen`.
    fn read(&self, store: &Store, seen: u64) -> u64 {
        let first = self.done.load(Ordering::SeqCst).max(seen);
        let value = wait(store.get(self.name.to_owned())).unwrap();
        self.written(value.as_deref(), first)
    }

    /// Checks that the key has the value of its `n`th write.
    fn check_is_at(&self, store: &Store, n: u64) {
        let value = wait(store.get(self.name.to_owned())).unwrap();
        assert_eq!(value, self.version(n));
    }

    /// Checks that a power cut would keep the value of the `n`th write or a later one.
    fn check_is_durable(&self, machine: &Machine, n: u64) {
        let store = machine.after_power_cut();
        let value = later::done(store.get(self.name.to_owned())).unwrap();
        self.written(value.as_deref(), n);
    }
}

/// Runs `test` in many orders, half of which change threads seldom.
fn check(test: fn()) {
    let schedules = number("KVS_SCHEDULES", 20) as usize;
    let mut config = Config::new();
    config.stack_size = 256 * 1024;
    Runner::new(RandomScheduler::new(schedules), config.clone()).run(test);
    Runner::new(PctScheduler::new(3, schedules), config).run(test);
}

/// Two threads write two keys each while two others read all four keys.
fn write_and_read(level: SyncLevel) {
    let machine = Machine::default();
    let store = machine.open(level);
    let keys: Vec<_> = ["a", "b", "c", "d"].map(Key::new).into();
    let mut threads = Vec::new();
    for keys in keys.chunks(2) {
        let (keys, store, machine) = (keys.to_vec(), store.clone(), machine.clone());
        threads.push(thread::spawn(move || {
            for n in 1..=5 {
                let writes: Vec<_> = keys.iter().map(|key| key.write(&store)).collect();
                for (key, write) in keys.iter().zip(writes) {
                    wait(write).unwrap();
                    key.done.store(n, Ordering::SeqCst);
                }
                if level != SyncLevel::Always {
                    wait(store.sync()).unwrap();
                }
                for key in &keys {
                    key.check_is_durable(&machine, n);
                }
            }
        }));
    }
    for _ in 0..2 {
        let (keys, store, machine) = (keys.clone(), store.clone(), machine.clone());
        threads.push(thread::spawn(move || {
            let mut seen = [0; 4];
            let places = (0..4).flat_map(|_| keys.iter().zip(0..));
            for (key, n) in places {
                seen[n] = key.read(&store, seen[n]);
                if level == SyncLevel::Always {
                    key.check_is_durable(&machine, seen[n]);
                }
            }
        }));
    }
    for thread in threads {
        thread.join().unwrap();
    }
    drop(store);
    let store = machine.open(level);
    for key in keys {
        key.check_is_at(&store, 5);
    }
}

#[test]
fn with_always_a_write_that_was_read_or_acknowledged_is_on_the_disk_and_stays() {
    check(|| write_and_read(SyncLevel::Always));
}

#[test]
fn with_never_a_write_that_was_read_or_acknowledged_stays_and_sync_puts_it_on_the_disk() {
    check(|| write_and_read(SyncLevel::Never));
}

#[test]
fn closing_waits_for_pending_writes() {
    check(|| {
        let machine = Machine::default();
        let keys: Vec<_> = ["a", "b", "c"].map(Key::new).into();
        for _ in 0..3 {
            let store = machine.open(SyncLevel::Never);
            let threads = keys.iter().map(|key| {
                let (key, store) = (Arc::clone(key), store.clone());
                thread::spawn(move || {
                    let writes = [key.write(&store), store.set(key.name.repeat(2), "x".into())];
                    // Drops the future of a read.
                    let _ = store.get(key.name.to_owned());
                    writes
                })
            });
            let threads: Vec<_> = threads.collect();
            drop(store);
            let writes = threads
                .into_iter()
                .flat_map(|thread| thread.join().unwrap());
            let writes: Vec<_> = writes.collect();
            let steps = machine.disk.steps();
            for mut write in writes {
                assert!(write.poll().unwrap().is_ready());
            }
            for _ in 0..5 {
                thread::yield_now();
            }
            assert_eq!(machine.disk.steps(), steps, "the closed store still writes");
        }
        let store = machine.open(SyncLevel::Never);
        for key in keys {
            key.check_is_at(&store, 3);
            assert_eq!(
                wait(store.get(key.name.repeat(2))).unwrap(),
                Some("x".into())
            );
        }
    });
}

#[test]
fn reads_find_values_that_compaction_moves() {
    check(|| {
        let machine = Machine::default();
        let store = machine.open(SyncLevel::Never);
        let still = still(&store);
        let threads = still.iter().map(|key| {
            let (key, store) = (Arc::clone(key), store.clone());
            thread::spawn(move || {
                for _ in 0..8 {
                    key.check_is_at(&store, 1);
                }
            })
        });
        let threads: Vec<_> = threads.collect();
        let first = "0000000001.segment".to_owned();
        while machine.disk.names().contains(&first) {
            wait(store.set("k".to_owned(), "v".to_owned())).unwrap();
        }
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn scans_find_what_compaction_moves_under_them() {
    check(|| {
        let machine = Machine::default();
        let store = machine.open(SyncLevel::Never);
        let still = still(&store);
        let changing = Key::new("k");
        let scanner = {
            let (store, changing) = (store.clone(), Arc::clone(&changing));
            thread::spawn(move || {
                for limit in [1, 2, 10] {
                    check_scan(&store, limit, &still, &changing);
                }
            })
        };
        for n in 1..=8 {
            wait(changing.write(&store)).unwrap();
            changing.done.store(n, Ordering::SeqCst);
        }
        scanner.join().unwrap();
    });
}

/// Returns keys that have been written once and are not written again.
fn still(store: &Store) -> Vec<Arc<Key>> {
    let keys = ["s", "t", "u"].map(Key::new);
    for key in &keys {
        wait(key.write(store)).unwrap();
    }
    keys.into()
}

/// Checks that a scan returns each key that is `still` once, and a `changing` key in the order of
/// its values.
fn check_scan(store: &Store, limit: usize, still: &[Arc<Key>], changing: &Key) {
    let mut seen = changing.done.load(Ordering::SeqCst);
    let found = scan(store, limit);
    let values = |key: &Key| {
        let pairs = found.iter().filter(|(name, _)| name == key.name);
        pairs.map(|(_, value)| value.clone()).collect::<Vec<_>>()
    };
    for key in still {
        assert_eq!(values(key), Vec::from_iter(key.version(1)));
    }
    for value in values(changing) {
        seen = changing.written(Some(&value), seen);
    }
}

/// Returns the pairs of a whole scan.
fn scan(store: &Store, limit: usize) -> Vec<(String, String)> {
    let scan = Scan {
        limit,
        ..Scan::default()
    };
    let pages = pages(scan, |scan| wait(store.scan(scan)));
    let pairs = pages.flat_map(|page| page.pairs);
    pairs.map(|(key, value)| (key, value.unwrap())).collect()
}

#[test]
fn of_two_removals_at_once_one_finds_the_key() {
    check(|| {
        let store = Machine::default().open(SyncLevel::Never);
        wait(store.set("k".to_owned(), "v".to_owned())).unwrap();
        let threads = [store.clone(), store].map(|store| {
            thread::spawn(move || match wait(store.remove("k".to_owned())) {
                Ok(()) => 1,
                Err(KvsError::KeyNotFound) => 0,
                Err(error) => panic!("{error}"),
            })
        });
        let removed = threads.map(|thread| thread.join().unwrap());
        assert_eq!(removed.iter().sum::<u32>(), 1);
    });
}

#[test]
fn the_statistics_have_every_write_that_has_completed() {
    const RECORD: u64 = 26;
    check(|| {
        let store = Machine::default().open(SyncLevel::Never);
        let done = Arc::new(AtomicU64::new(0));
        let threads = [store.clone(), store.clone(), store].map(|store| {
            let done = Arc::clone(&done);
            thread::spawn(move || {
                wait(store.set("k".to_owned(), "v".to_owned())).unwrap();
                let older = done.fetch_add(1, Ordering::SeqCst);
                let dead = store.stats().dead_bytes.unwrap();
                assert!(dead >= older * RECORD, "{dead} bytes of {older} records");
            })
        });
        for thread in threads {
            thread.join().unwrap();
        }
    });
}
