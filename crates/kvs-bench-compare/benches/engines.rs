//! The engines side by side, on one thread: `cargo bench -p kvs-bench-compare --bench engines`.
//!
//! A write completes before the disk has it, and a sync follows within about a second. Until then
//! kvs and fjall keep it in the memory of the system, so that a kill loses nothing, and redb keeps
//! it in the memory of the process. sled would do the same, so `SledKvsEngine` flushes before it
//! answers. `cargo bench -p kvs-bench-compare --bench engines -- flush` measures only that.
//!
//! kvs and sled are called through their futures. Each call of sled is a job on a pool. redb and
//! fjall have blocking interfaces. Criterion measures one engine after the other. For the table at
//! the end, each round measures all engines, so other work on the machine slows all of them down.

use std::env;
use std::hint::black_box;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use criterion::{BatchSize, Criterion};
use fjall::{Keyspace, KeyspaceCreateOptions, PersistMode};
use futures::{Future, future};
use kvs::engine::{EngineFuture, SyncLevel};
use kvs::thread_pool::{SharedQueueThreadPool, ThreadPool};
use kvs::{KvStore, KvsEngine, SledKvsEngine};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use redb::{Durability, ReadableDatabase, TableDefinition};

/// The engines, and how to open or create a store of each. `everysec` is the default of kvs.
const ENGINES: [(&str, Open); 4] = [
    ("kvs", |dir| {
        Box::new(KvStore::<SharedQueueThreadPool>::open(dir, 4).unwrap())
    }),
    ("sled", |dir| {
        let level = SyncLevel::EverySec;
        Box::new(SledKvsEngine::<SharedQueueThreadPool>::open(dir, level, 4).unwrap())
    }),
    ("redb", |dir| Box::new(Redb::open(dir))),
    ("fjall", |dir| Box::new(Fjall::open(dir))),
];

/// The first argument of a process that only opens a store.
const OPEN: &str = "open-and-get";

/// The first argument that makes the program measure only the flushes of sled.
const FLUSH: &str = "flush";

type Open = fn(&Path) -> Box<dyn Engine>;

/// The operations that all engines have.
trait Engine {
    fn set(&self, key: String, value: String);
    /// Returns the value of a key that exists.
    fn get(&self, key: String) -> String;
}

impl<E: KvsEngine> Engine for E {
    fn set(&self, key: String, value: String) {
        KvsEngine::set(self, key, value).wait().unwrap();
    }

    fn get(&self, key: String) -> String {
        KvsEngine::get(self, key).wait().unwrap().unwrap()
    }
}

struct Redb {
    _every_sec: EverySec,
    database: Arc<redb::Database>,
}

const TABLE: TableDefinition<'static, &str, &str> = TableDefinition::new("table");

impl Redb {
    fn open(dir: &Path) -> Redb {
        let database = redb::Database::create(dir.join("redb")).unwrap();
        let database = Arc::new(database);
        let same = Arc::clone(&database);
        // A durable commit, which is the default, makes the commits before it durable, too.
        let sync = move || same.begin_write().unwrap().commit().unwrap();
        Redb {
            _every_sec: EverySec::start(sync),
            database,
        }
    }
}

impl Engine for Redb {
    fn set(&self, key: String, value: String) {
        let mut transaction = self.database.begin_write().unwrap();
        transaction.set_durability(Durability::None).unwrap();
        let mut table = transaction.open_table(TABLE).unwrap();
        table.insert(&*key, &*value).unwrap();
        drop(table);
        transaction.commit().unwrap();
    }

    fn get(&self, key: String) -> String {
        let transaction = self.database.begin_read().unwrap();
        let table = transaction.open_table(TABLE).unwrap();
        table.get(&*key).unwrap().unwrap().value().to_owned()
    }
}

struct Fjall {
    _every_sec: EverySec,
    keyspace: Keyspace,
}

impl Fjall {
    fn open(dir: &Path) -> Fjall {
        let database = fjall::Database::builder(dir).open().unwrap();
        let keyspace = database.keyspace("keyspace", KeyspaceCreateOptions::default);
        let sync = move || database.persist(PersistMode::SyncData).unwrap();
        Fjall {
            _every_sec: EverySec::start(sync),
            keyspace: keyspace.unwrap(),
        }
    }
}

impl Engine for Fjall {
    fn set(&self, key: String, value: String) {
        self.keyspace.insert(key, value).unwrap();
    }

    fn get(&self, key: String) -> String {
        let value = self.keyspace.get(key).unwrap().unwrap();
        String::from_utf8(value.to_vec()).unwrap()
    }
}

/// A thread that syncs once a second, as those of kvs and sled do. Dropping this ends the thread.
struct EverySec(Option<(Sender<()>, JoinHandle<()>)>);

impl EverySec {
    fn start(sync: impl Fn() + Send + 'static) -> EverySec {
        let (stop, stopped) = mpsc::channel();
        let second = Duration::from_secs(1);
        let thread = thread::spawn(move || {
            while stopped.recv_timeout(second) == Err(RecvTimeoutError::Timeout) {
                sync();
            }
        });
        EverySec(Some((stop, thread)))
    }
}

impl Drop for EverySec {
    fn drop(&mut self) {
        if let Some((stop, thread)) = self.0.take() {
            drop(stop);
            thread.join().unwrap();
        }
    }
}

fn key(n: u32) -> String {
    format!("key{n:08}")
}

fn value() -> String {
    "x".repeat(100)
}

/// Returns the microseconds for each call. Making the arguments does not count.
fn time<T>(arguments: Vec<T>, call: impl FnMut(T)) -> f64 {
    let (calls, began) = (arguments.len(), Instant::now());
    arguments.into_iter().for_each(call);
    micros(began) / calls as f64
}

fn micros(began: Instant) -> f64 {
    began.elapsed().as_secs_f64() * 1e6
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Returns the microseconds that another process takes to open a store and read a key. In this
/// process, an engine would spend time on memory that the previous engine has freed.
fn time_of_opening(engine: usize, dir: &Path, key: &str) -> f64 {
    let program = env::current_exe().unwrap();
    let mut process = Command::new(program);
    process.arg(OPEN).arg(engine.to_string()).arg(dir).arg(key);
    let output = process.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap().parse().unwrap()
}

/// Opens a store and reads a key. This is all that the process of [`time_of_opening`] does.
fn open_and_get(mut arguments: impl Iterator<Item = String>) {
    let mut next = || arguments.next().unwrap();
    let (engine, dir, key) = (next().parse::<usize>().unwrap(), next(), next());
    let began = Instant::now();
    let engine = ENGINES[engine].1(dir.as_ref());
    // Opening may defer work to the first get, so that counts as well.
    engine.get(key);
    print!("{}", micros(began));
}

/// Prints the writes a second of sled by itself and of [`SledKvsEngine`].
fn compare_flushes() {
    type Set = Box<dyn Fn(String, String) -> EngineFuture<()>>;
    const IN_FLIGHT: [u32; 3] = [1, 50, 64];

    let dirs = [(); 4].map(|()| tempfile::tempdir().unwrap());
    let engine = |dir: &tempfile::TempDir, level| -> Set {
        let engine = SledKvsEngine::<SharedQueueThreadPool>::open(dir.path(), level, 4);
        let engine = engine.unwrap();
        Box::new(move |key, value| KvsEngine::set(&engine, key, value))
    };
    let jobs = |dir: &tempfile::TempDir, flush: bool| -> Set {
        let pool = SharedQueueThreadPool::new(4).unwrap();
        let config = sled::Config::new().path(dir.path());
        let db = config.flush_every_ms(Some(1000)).open().unwrap();
        Box::new(move |key, value| {
            let db = db.clone();
            EngineFuture::spawn(&pool, move || {
                db.insert(key, value.into_bytes()).unwrap();
                if flush {
                    db.flush().unwrap();
                }
                Ok(())
            })
        })
    };
    let ways: [(&str, Set); 4] = [
        ("sled, no flush", jobs(&dirs[0], false)),
        ("sled, a flush each", jobs(&dirs[1], true)),
        ("engine, everysec", engine(&dirs[2], SyncLevel::EverySec)),
        ("engine, always", engine(&dirs[3], SyncLevel::Always)),
    ];
    let mut rates = [(); 4].map(|()| IN_FLIGHT.map(|_| Vec::new()));
    for _ in 0..9 {
        for ((_, set), rates) in ways.iter().zip(&mut rates) {
            for (in_flight, rates) in IN_FLIGHT.into_iter().zip(rates) {
                let (began, mut sets) = (Instant::now(), 0);
                while began.elapsed() < Duration::from_millis(200) {
                    let together = (0..in_flight).map(|n| set(key(n), value()));
                    let together = future::join_all(together.collect::<Vec<_>>());
                    together.wait().unwrap();
                    sets += in_flight;
                }
                rates.push(f64::from(sets) / began.elapsed().as_secs_f64());
            }
        }
    }
    println!("sets a second, {IN_FLIGHT:?} in flight (medians of 9):");
    for ((name, _), rates) in ways.iter().zip(rates) {
        let rates = rates.map(|rates| format!("{:10.0}", median(rates)));
        println!("{name:18}{}", rates.concat());
    }
}

fn main() {
    let mut arguments = env::args().skip(1);
    match arguments.next().as_deref() {
        Some(OPEN) => return open_and_get(arguments),
        Some(FLUSH) => return compare_flushes(),
        _ => {}
    }
    // Criterion distinguishes a test from a measurement in the same way.
    let has = |flag| env::args().any(|arg| arg == flag);
    let (keys, calls, rounds) = if has("--bench") && !has("--test") {
        (100_000, 20_000, 9)
    } else {
        (100, 10, 1)
    };
    let mut rng = SmallRng::seed_from_u64(1);
    let mut random_key = move || key(rng.random_range(0..keys));

    let dirs = ENGINES.map(|_| tempfile::tempdir().unwrap());
    let open = |n: usize| ENGINES[n].1(dirs[n].path());
    let engines: Vec<_> = (0..ENGINES.len()).map(open).collect();
    for engine in &engines {
        (0..keys).for_each(|n| engine.set(key(n), value()));
    }

    let mut times = [(); 3].map(|()| ENGINES.map(|_| Vec::new()));
    let [gets, sets, opens] = &mut times;
    for _ in 0..rounds {
        let keys: Vec<_> = (0..calls).map(|_| random_key()).collect();
        for (n, engine) in engines.iter().enumerate() {
            gets[n].push(time(keys.clone(), |key| drop(black_box(engine.get(key)))));
            let pairs = keys.iter().map(|key| (key.clone(), value())).collect();
            sets[n].push(time(pairs, |(key, value)| engine.set(key, value)));
        }
    }
    drop(engines);
    for _ in 0..rounds {
        for (n, times) in opens.iter_mut().enumerate() {
            times.push(time_of_opening(n, dirs[n].path(), &random_key()));
        }
    }

    measure_with_criterion(open, &mut random_key);

    println!("{keys} keys; microseconds a call, and how many times as fast kvs is:\n");
    print_medians(&times);
    println!("\n\n(medians of {rounds} rounds; to open a store includes the first get)");
}

fn measure_with_criterion(
    open: impl Fn(usize) -> Box<dyn Engine>,
    mut random_key: impl FnMut() -> String,
) {
    let mut criterion = Criterion::default().configure_from_args();
    for (n, (name, _)) in ENGINES.iter().enumerate() {
        let engine = open(n);
        criterion.bench_function(&format!("{name}/set"), |b| {
            let pair = || (random_key(), value());
            let set = |(key, value)| engine.set(key, value);
            b.iter_batched(pair, set, BatchSize::SmallInput);
        });
        criterion.bench_function(&format!("{name}/get"), |b| {
            b.iter_batched(
                &mut random_key,
                |key| engine.get(key),
                BatchSize::SmallInput,
            );
        });
    }
    criterion.final_summary();
}

/// Prints a line for each call, with the medians of each engine.
fn print_medians(times: &[[Vec<f64>; ENGINES.len()]; 3]) {
    print!("{:5}", "");
    for (name, _) in ENGINES {
        print!("{name:>18}");
    }
    for (call, times) in ["get", "set", "open"].iter().zip(times) {
        let medians = times.each_ref().map(|times| median(times.clone()));
        print!("\n{call:5}");
        for time in medians {
            print!("{time:10.1} {:6.3}x", time / medians[0]);
        }
    }
}
