//! Scans of the engines that keep a log: which pairs they return, and what their cursors survive.

#[path = "../common/mod.rs"]
mod common;
mod cursors;
mod damage;
mod memory;
mod model;
mod pages;
mod writes;

use std::collections::BTreeMap;
use std::path::Path;

use futures::Future;
use kvs::engine::{KvStoreOptions, Page, Scan};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine, Result, TokioFsEngine};

/// An engine that these tests can open.
trait Open: KvsEngine + Sync {
    fn open(options: &KvStoreOptions, dir: &Path) -> Self;
}

impl Open for KvStore<SharedQueueThreadPool> {
    fn open(options: &KvStoreOptions, dir: &Path) -> Self {
        options.open(dir, 2).unwrap()
    }
}

impl Open for TokioFsEngine {
    fn open(options: &KvStoreOptions, dir: &Path) -> Self {
        TokioFsEngine::open_with(options, dir, 2).unwrap()
    }
}

/// Makes a test of each of these generic functions for each engine.
macro_rules! for_both_engines {
    ($($test:ident),* $(,)?) => {
        mod kv_store {
            $(#[test]
            fn $test() {
                super::$test::<kvs::KvStore<kvs::thread_pool::SharedQueueThreadPool>>();
            })*
        }

        mod tokio_fs {
            $(#[test]
            fn $test() {
                super::$test::<kvs::TokioFsEngine>();
            })*
        }
    };
}
use for_both_engines;

type Pairs = Vec<(String, Option<String>)>;

/// Settings with segments of this size, and compaction when as many bytes are dead.
fn options(segment_bytes: u64, dead_bytes: u64) -> KvStoreOptions {
    let options = KvStoreOptions::default().segment_bytes(segment_bytes);
    options.dead_bytes(dead_bytes)
}

/// Returns a page of at most `limit` pairs.
fn first(limit: usize) -> Scan {
    Scan {
        limit,
        ..Scan::prefix("")
    }
}

fn page(store: &impl KvsEngine, scan: &Scan) -> Result<Page> {
    store.scan(scan.clone()).wait()
}

/// Returns the pages from that of `scan` to the last one.
fn pages(store: &impl KvsEngine, scan: &Scan) -> impl Iterator<Item = Page> {
    let pages = common::pages(scan.clone(), |scan| page(store, &scan));
    pages.inspect(|page| assert!(page.pairs.len() <= scan.limit))
}

/// Returns the pairs of all pages, in their order.
fn pairs(store: &impl KvsEngine, scan: &Scan) -> Pairs {
    pages(store, scan).flat_map(|page| page.pairs).collect()
}

/// Returns the pairs of a scan of everything, of which no key may be there twice.
fn contents(store: &impl KvsEngine) -> BTreeMap<String, String> {
    let pairs = pairs(store, &Scan::prefix(""));
    let len = pairs.len();
    let pairs = pairs.into_iter().map(|(key, value)| (key, value.unwrap()));
    let contents: BTreeMap<_, _> = pairs.collect();
    assert_eq!(contents.len(), len, "a key was returned twice");
    contents
}

fn set(store: &impl KvsEngine, key: &str, value: &str) {
    let set = store.set(key.to_owned(), value.to_owned());
    set.wait().unwrap();
}

fn remove(store: &impl KvsEngine, key: &str) {
    store.remove(key.to_owned()).wait().unwrap();
}

/// Sets many keys, with one commit for many.
fn set_all(store: &impl KvsEngine, pairs: impl Iterator<Item = (String, String)>) {
    let sets: Vec<_> = pairs.map(|(key, value)| store.set(key, value)).collect();
    for set in sets {
        set.wait().unwrap();
    }
}

/// Writes one key again and again until the segment `name` has been compacted away.
fn compact(store: &impl KvsEngine, dir: &Path, key: &str) {
    let oldest = || {
        let names = dir
            .read_dir()
            .unwrap()
            .map(|entry| entry.unwrap().file_name());
        let segments = names.filter(|name| name.to_string_lossy().ends_with(".segment"));
        segments.min().unwrap()
    };
    let before = oldest();
    while oldest() == before {
        set(store, key, &"x".repeat(100));
    }
}
