//! Scans beside a model, for random writes in random order.

use std::collections::BTreeMap;

use kvs::KvStore;
use kvs::engine::{KvStoreOptions, Scan};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvsEngine, KvsError, TokioFsEngine};
use proptest::collection::vec;
use proptest::prelude::*;

use super::{Open, contents, options, page};
use futures::Future;

#[derive(Debug, Clone)]
enum Op {
    Set(u8, usize),
    Remove(u8),
    /// Takes the next page of the scan that is under way. The number is its limit.
    Page(usize),
    Reopen,
    Compare,
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        10 => (0..20u8, 0..100usize).prop_map(|(key, len)| Op::Set(key, len)),
        4 => (0..20u8).prop_map(Op::Remove),
        6 => (1..6usize).prop_map(Op::Page),
        1 => Just(Op::Reopen),
        1 => Just(Op::Compare),
    ]
}

fn small_options() -> impl Strategy<Value = KvStoreOptions> {
    let segment_bytes = prop_oneof![Just(100), Just(400), Just(2000)];
    let dead_bytes = prop_oneof![Just(200), Just(1000), Just(u64::MAX)];
    (segment_bytes, dead_bytes).prop_map(|(segment, dead)| options(segment, dead))
}

fn config() -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        cases: std::env::var("PROPTEST_CASES").map_or(12, |cases| cases.parse().unwrap()),
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_scan_of_kv_store_has_the_pairs_of_a_map(
        options in small_options(),
        ops in vec(op(), 1..200),
    ) {
        check::<KvStore<SharedQueueThreadPool>>(&options, &ops);
    }

    #[test]
    fn a_scan_on_tokio_fs_has_the_pairs_of_a_map(
        options in small_options(),
        ops in vec(op(), 1..200),
    ) {
        check::<TokioFsEngine>(&options, &ops);
    }
}

/// A scan that is under way.
#[derive(Default)]
struct UnderWay {
    cursor: Option<String>,
    /// The newest of the pairs that were returned of each key, and how often it was returned.
    found: BTreeMap<String, (String, usize)>,
    /// The pairs of the store since the scan began that were not written meanwhile.
    stay: BTreeMap<String, String>,
}

impl UnderWay {
    fn begin(model: &BTreeMap<String, String>) -> UnderWay {
        UnderWay {
            stay: model.clone(),
            ..UnderWay::default()
        }
    }

    /// Takes a page, and checks the whole scan at its end.
    fn step(&mut self, store: &impl KvsEngine, limit: usize, model: &BTreeMap<String, String>) {
        let scan = Scan {
            cursor: self.cursor.take(),
            limit,
            ..Scan::default()
        };
        let page = page(store, &scan).unwrap();
        for (key, value) in page.pairs {
            // All writes are complete, so only what is in the store can be returned.
            let value = value.unwrap();
            assert_eq!(model.get(&key), Some(&value));
            let times = self.found.get(&key).map_or(0, |(_, times)| *times);
            self.found.insert(key, (value, times + 1));
        }
        self.cursor = page.cursor;
        if self.cursor.is_some() {
            return;
        }
        for key in self.stay.keys() {
            assert_eq!(self.found[key].1, 1, "{key:?} was returned more than once");
        }
        for (key, value) in model {
            assert_eq!(&self.found[key].0, value, "{key:?}");
        }
        *self = UnderWay::begin(model);
    }
}

fn check<E: Open>(options: &KvStoreOptions, ops: &[Op]) {
    let dir = tempfile::tempdir().unwrap();
    let mut store = E::open(options, dir.path());
    let mut model = BTreeMap::new();
    let mut under_way = UnderWay::default();
    for (n, op) in ops.iter().enumerate() {
        match op {
            Op::Set(key, len) => {
                let (key, value) = (key.to_string(), format!("{n:len$}"));
                store.set(key.clone(), value.clone()).wait().unwrap();
                under_way.stay.remove(&key);
                model.insert(key, value);
            }
            Op::Remove(key) => {
                let key = key.to_string();
                let removed = store.remove(key.clone()).wait();
                under_way.stay.remove(&key);
                match model.remove(&key) {
                    Some(_) => removed.unwrap(),
                    None => assert!(matches!(removed, Err(KvsError::KeyNotFound))),
                }
            }
            Op::Page(limit) => under_way.step(&store, *limit, &model),
            Op::Reopen => {
                drop(store);
                store = E::open(options, dir.path());
            }
            Op::Compare => assert_eq!(contents(&store), model),
        }
    }
    assert_eq!(contents(&store), model);
}
