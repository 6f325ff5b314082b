//! The promises of every engine.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

use futures::Future;
use kvs::engine::{EngineFuture, EngineStats, Page, Scan, SyncLevel};
use kvs::{KvsEngine, KvsError, Result};

use super::common::pages;
use super::every_engine::{self, Open};
use super::nodes::{Cluster, MASTERS};
use super::{ClusterEngine, ClusterOptions, get, open, set};

static CLUSTER: OnceLock<Vec<String>> = OnceLock::new();

/// The part of a cluster that stands for the directory of a test: its keys begin with the path.
#[derive(Clone)]
struct Part {
    store: ClusterEngine,
    prefix: String,
}

impl Open for Part {
    fn open(dir: &Path, _: u32) -> Result<Part> {
        let nodes = CLUSTER.get().expect("it is started").clone();
        Ok(Part {
            store: ClusterOptions::new(nodes).open()?,
            prefix: dir.display().to_string(),
        })
    }
}

impl KvsEngine for Part {
    fn set(&self, key: String, value: String) -> EngineFuture<()> {
        self.store.set(format!("{}{key}", self.prefix), value)
    }

    fn get(&self, key: String) -> EngineFuture<Option<String>> {
        self.store.get(format!("{}{key}", self.prefix))
    }

    fn remove(&self, key: String) -> EngineFuture<()> {
        self.store.remove(format!("{}{key}", self.prefix))
    }

    fn scan(&self, scan: Scan) -> EngineFuture<Page> {
        self.store.scan(scan)
    }

    fn stats(&self) -> EngineStats {
        self.store.stats()
    }
}

pub fn of_every_engine() {
    let cluster = Cluster::start();
    CLUSTER.set(cluster.addrs()).expect("one test does this");
    for (_, test) in every_engine::of_every_engine!(list, Part) {
        test(1);
    }
}

pub fn long_values_and_odd_keys() {
    let cluster = Cluster::start();
    for sync in [SyncLevel::EverySec, SyncLevel::Always] {
        let store = open(&cluster, sync);
        let (long, long_key) = ("x".repeat(16 * 1024 * 1024), "k".repeat(64 * 1024));
        let pairs = [
            ("", "the empty key"),
            ("{}", ""),
            ("\r\n*1", "\0\r\n"),
            ("long", &long),
            (&long_key, "value"),
        ];
        for (key, value) in pairs {
            set(&store, key, value).unwrap();
            assert!(get(&store, key).unwrap().as_deref() == Some(value));
            store.remove(key.to_owned()).wait().unwrap();
            assert_eq!(get(&store, key).unwrap(), None);
            let again = store.remove(key.to_owned()).wait();
            assert!(matches!(again, Err(KvsError::KeyNotFound)));
        }
        let stats = store.stats().cluster.unwrap();
        assert_eq!((stats.slots, stats.masters.len()), (16_384, MASTERS));
        assert!(stats.batches > 0);
    }
}

pub fn scan_returns_each_pair_once() {
    let cluster = Cluster::start();
    // Another engine, as in another process, sees the same pairs.
    let (store, other) = (
        open(&cluster, SyncLevel::Never),
        open(&cluster, SyncLevel::Always),
    );
    let pair = |n: u32| (format!("k{n}"), format!("v{n}"));
    let expected: BTreeMap<_, _> = (0..2000).map(pair).collect();
    let writes = expected
        .iter()
        .map(|(key, value)| store.set(key.clone(), value.clone()));
    let writes: Vec<_> = writes.collect();
    writes.into_iter().for_each(|write| write.wait().unwrap());
    set(&store, "another", "value").unwrap();
    for (limit, keys_only) in [(10_000, false), (7, false), (100, true)] {
        let scan = Scan {
            limit,
            keys_only,
            ..Scan::prefix("k")
        };
        let found = pages(scan, |scan| other.scan(scan).wait());
        let pages: Vec<_> = found.map(|page| page.pairs).collect();
        assert!(pages.iter().all(|pairs| pairs.len() <= limit));
        let pairs: Vec<_> = pages.into_iter().flatten().collect();
        assert_eq!(pairs.len(), expected.len());
        for (key, value) in pairs {
            assert_eq!(
                value.as_ref(),
                expected.get(&key).filter(|_| !keys_only),
                "{key}"
            );
        }
    }
    // A node that does not list its keys must not look like one that has none.
    cluster.tell(1, "ACL SETUSER default -cluster|getkeysinslot");
    let limit = Duration::from_millis(300);
    let hasty = ClusterOptions::new(cluster.addrs()).time(limit).open();
    let refused = hasty.unwrap().scan(Scan::prefix("k")).wait().unwrap_err();
    assert!(refused.to_string().contains(&cluster.addr(1)), "{refused}");
    let bad = other.scan(Scan {
        cursor: Some("nonsense".to_owned()),
        ..Scan::prefix("")
    });
    assert!(matches!(bad.wait(), Err(KvsError::BadCursor { .. })));
}
