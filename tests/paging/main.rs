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
use kvs::engine::{Page, SyncLevel};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine, SledKvsEngine};
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

/// Returns the pairs of all pages, which have each key once.
fn pairs(pages: impl IntoIterator<Item = Page>) -> BTreeMap<String, Option<String>> {
    let mut pairs = BTreeMap::new();
    for (key, value) in pages.into_iter().flat_map(|page| page.pairs) {
        assert!(!pairs.contains_key(&key), "{key:?} is there twice");
        pairs.insert(key, value);
    }
    pairs
}
