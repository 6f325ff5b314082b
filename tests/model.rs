//! The store beside a model, for random operations in any order, and during concurrent reads.
//!
//! Segments are tiny here, so there is a new one every few writes, with hints for the previous one,
//! and compaction runs all the time. `PROPTEST_CASES=1000 cargo test --test model` tries that many
//! cases at each level, which is fast if `TMPDIR` is in memory. The test prints the smallest case
//! that fails.

use std::env;
use std::path::Path;
use std::sync::mpsc::{self, Receiver};
use std::thread;

use futures::Future;
use kvs::engine::{EngineFuture, KvStoreOptions, Scan, SyncLevel};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine, KvsError, TokioFsEngine};
use parking_lot::Mutex;
use proptest::collection::vec;
use proptest::prelude::*;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

/// The operations of a store that these tests need.
trait Store: KvsEngine + Sync {
    fn open(options: &KvStoreOptions, dir: &Path) -> Self;
    fn sync(&self) -> EngineFuture<()>;
}

impl Store for KvStore<SharedQueueThreadPool> {
    fn open(options: &KvStoreOptions, dir: &Path) -> Self {
        options.open(dir, 2).unwrap()
    }

    fn sync(&self) -> EngineFuture<()> {
        self.sync()
    }
}

impl Store for TokioFsEngine {
    fn open(options: &KvStoreOptions, dir: &Path) -> Self {
        TokioFsEngine::open_with(options, dir, 2).unwrap()
    }

    fn sync(&self) -> EngineFuture<()> {
        self.sync()
    }
}

const KEYS: usize = 8;
const READERS: u64 = 2;
/// Enough reads for the time that an operation takes. Without a limit the readers would keep the
/// processor busy.
const READS_PER_OP: usize = 16;

/// Returns the name of a key. The last one is longer than a segment.
fn name(key: usize) -> String {
    let long = "long ".repeat(100);
    let names: [&str; KEYS] = ["", " ", "\0", "key", "näive", "ключ", "鍵 🔑", &long];
    names[key].to_owned()
}

#[derive(Debug, Clone)]
enum Op {
    /// Writes that are pending together.
    Write(Vec<Write>),
    Get(usize),
    Sync,
    /// Writes that are pending while the store is dropped.
    Reopen(Vec<Write>),
}

#[derive(Debug, Clone)]
enum Write {
    /// A key, and the approximate length of its value.
    Set(usize, usize),
    Remove(usize),
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        3 => (0..KEYS, 0..100usize).prop_map(|(key, len)| Write::Set(key, len)),
        1 => (0..KEYS).prop_map(Write::Remove),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        8 => vec(write(), 1).prop_map(Op::Write),
        4 => vec(write(), 2..10).prop_map(Op::Write),
        4 => (0..KEYS).prop_map(Op::Get),
        1 => Just(Op::Sync),
        1 => vec(write(), 0..4).prop_map(Op::Reopen),
    ]
}

fn config() -> ProptestConfig {
    let config = ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    match env::var_os("PROPTEST_CASES") {
        Some(_) => config,
        // Each case waits for the disk about a hundred times.
        None => ProptestConfig {
            cases: 12,
            ..config
        },
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_store_behaves_like_a_map_with_sync_always(ops in vec(op(), 1..60)) {
        check::<KvStore<_>>(SyncLevel::Always, &ops);
    }

    #[test]
    fn the_store_behaves_like_a_map_with_sync_everysec(ops in vec(op(), 1..60)) {
        check::<KvStore<_>>(SyncLevel::EverySec, &ops);
    }

    #[test]
    fn the_store_behaves_like_a_map_with_sync_never(ops in vec(op(), 1..60)) {
        check::<KvStore<_>>(SyncLevel::Never, &ops);
    }

    #[test]
    fn the_store_on_tokio_fs_behaves_like_a_map(level in level(), ops in vec(op(), 1..60)) {
        check::<TokioFsEngine>(level, &ops);
    }
}

fn level() -> impl Strategy<Value = SyncLevel> {
    use SyncLevel::{Always, EverySec, Never};
    prop_oneof![Just(Always), Just(EverySec), Just(Never)]
}

fn check<S: Store>(level: SyncLevel, ops: &[Op]) {
    let dir = tempfile::tempdir().unwrap();
    let options = KvStoreOptions::default().sync(level);
    let options = options.segment_bytes(300).dead_bytes(500);
    let open = || S::open(&options, dir.path());
    let model = Model::default();
    let mut readers: Vec<_> = (0..READERS).map(Reader::new).collect();
    for ops in ops.split_inclusive(|op| matches!(op, Op::Reopen(_))) {
        let store = open();
        model.compare(&store);
        let mut under_way = Vec::new();
        thread::scope(|scope| {
            // Leaving this scope drops the senders, even after a panic, so that the readers end.
            let mut wake = Vec::new();
            for reader in &mut readers {
                let (sender, operations) = mpsc::channel();
                wake.push(sender);
                let (store, model) = (store.clone(), &model);
                scope.spawn(move || reader.read(&store, model, &operations));
            }
            for op in ops {
                for reader in &wake {
                    // The panic of a reader fails the test at the end of the scope.
                    let _ = reader.send(());
                }
                match op {
                    Op::Write(writes) => model.wait(model.write(&store, writes)),
                    Op::Get(key) => model.compare_key(&store, *key),
                    Op::Sync => store.sync().wait().unwrap(),
                    Op::Reopen(writes) => under_way = model.write(&store, writes),
                }
            }
        });
        drop(store);
        model.wait(under_way);
    }
    model.compare(&open());
}

/// The states that the keys should have, and had before.
#[derive(Default)]
struct Model([Mutex<History>; KEYS]);

#[derive(Debug)]
struct History {
    /// All values of the key, or `None` after a removal. A map would hold the last one.
    states: Vec<Option<String>>,
    /// The index of the oldest state that a reader may still get.
    acknowledged: usize,
}

impl Default for History {
    fn default() -> History {
        History {
            states: vec![None],
            acknowledged: 0,
        }
    }
}

/// A pending write.
struct UnderWay {
    key: usize,
    state: usize,
    /// Whether the write should succeed. A removal of a missing key fails.
    finds_key: bool,
    future: EngineFuture<()>,
}

impl Model {
    /// Starts these writes in their order.
    fn write(&self, store: &impl Store, writes: &[Write]) -> Vec<UnderWay> {
        let begin = |write: &Write| {
            let (Write::Set(key, _) | Write::Remove(key)) = *write;
            let mut history = self.0[key].lock();
            let state = history.states.len();
            let value = match *write {
                Write::Set(_, 0) => Some(String::new()),
                // Every value is different, so a reader can tell which state it got.
                Write::Set(_, len) => Some(format!("{:<len$}", format!("{key}/{state}"))),
                Write::Remove(_) => None,
            };
            let finds_key = value.is_some() || history.states[state - 1].is_some();
            history.states.push(value.clone());
            let future = match value {
                Some(value) => store.set(name(key), value),
                None => store.remove(name(key)),
            };
            UnderWay {
                key,
                state,
                finds_key,
                future,
            }
        };
        writes.iter().map(begin).collect()
    }

    fn wait(&self, writes: Vec<UnderWay>) {
        for write in writes {
            match write.future.wait() {
                Ok(()) => assert!(write.finds_key, "key {} was not there", write.key),
                Err(KvsError::KeyNotFound) => assert!(!write.finds_key, "key {}", write.key),
                Err(error) => panic!("{error}"),
            }
            self.0[write.key].lock().acknowledged = write.state;
        }
    }

    fn compare_key(&self, store: &impl Store, key: usize) {
        let got = store.get(name(key)).wait().unwrap();
        assert_eq!(Some(&got), self.0[key].lock().states.last(), "key {key}");
    }

    fn compare(&self, store: &impl Store) {
        for key in 0..KEYS {
            self.compare_key(store, key);
        }
        let mut expected: Vec<_> = (0..KEYS)
            .filter_map(|key| {
                let value = self.0[key].lock().states.last().cloned().flatten()?;
                Some((name(key), Some(value)))
            })
            .collect();
        let page = store.scan(Scan::prefix("")).wait().unwrap();
        let mut scanned = page.pairs;
        scanned.sort();
        expected.sort();
        assert_eq!(scanned, expected);
    }
}

/// A reader beside the writer.
struct Reader {
    /// For every key, the index of the state that was read last.
    seen: [usize; KEYS],
    rng: SmallRng,
}

impl Reader {
    fn new(seed: u64) -> Reader {
        Reader {
            seen: [0; KEYS],
            rng: SmallRng::seed_from_u64(seed),
        }
    }

    /// Reads random keys. Checks that no key returns to an earlier state.
    fn read(&mut self, store: &impl Store, model: &Model, operations: &Receiver<()>) {
        for _ in operations.iter().flat_map(|()| 0..READS_PER_OP) {
            let key = self.rng.random_range(0..KEYS);
            let oldest = self.seen[key].max(model.0[key].lock().acknowledged);
            let got = store.get(name(key)).wait().unwrap();
            let history = model.0[key].lock();
            let state = (oldest..history.states.len()).find(|n| history.states[*n] == got);
            self.seen[key] = state.unwrap_or_else(|| {
                panic!("a reader got {got:?} for key {key} and not {oldest} or later: {history:?}")
            });
        }
    }
}
