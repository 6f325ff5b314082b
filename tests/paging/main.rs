//! Scans, page by page: the engine on sled, the server, the bytes, and the blocking client. And the
//! time limits of that client.

mod blocking;
#[path = "../common/mod.rs"]
mod common;
mod gated;
mod order;
mod scripted;
mod sled;
mod time;
mod wire;

use std::collections::BTreeMap;

use futures::Future;
use kvs::engine::{Page, Scan, SyncLevel};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine, Result, SledKvsEngine};
use tempfile::TempDir;

type Sled = SledKvsEngine<SharedQueueThreadPool>;
type Kvs = KvStore<SharedQueueThreadPool>;

fn open_sled(dir: &TempDir) -> Sled {
    Sled::open(dir.path(), SyncLevel::Never, 2).unwrap()
}

fn set(engine: &impl KvsEngine, key: &str, value: &str) {
    let set = engine.set(key.to_owned(), value.to_owned());
    set.wait().unwrap();
}

/// Returns the pages of a scan.
fn pages(mut next: impl FnMut(Scan) -> Result<Page>, scan: Scan) -> Vec<Page> {
    let mut pages = Vec::new();
    let mut cursor = scan.cursor.clone();
    loop {
        let scan = scan.clone();
        let page = next(Scan { cursor, ..scan }).unwrap();
        cursor = page.cursor.clone();
        pages.push(page);
        if cursor.is_none() {
            return pages;
        }
    }
}

/// Returns the pairs of all pages, which have each key once.
fn pairs(pages: Vec<Page>) -> BTreeMap<String, Option<String>> {
    let mut pairs = BTreeMap::new();
    for (key, value) in pages.into_iter().flat_map(|page| page.pairs) {
        assert!(!pairs.contains_key(&key), "{key:?} is there twice");
        pairs.insert(key, value);
    }
    pairs
}
