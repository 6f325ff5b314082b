//! The promises of every engine, and those of `KvStore` alone.

#[path = "../common/mod.rs"]
mod common;
mod compaction;
mod damage;
mod every_engine;
mod sled_database;
mod store;

use std::path::Path;

use every_engine::{Open, get, open, owned, set};
use kvs::engine::SyncLevel;
use kvs::thread_pool::{NaiveThreadPool, RayonThreadPool, SharedQueueThreadPool, ThreadPool};
use kvs::{KvStore, Result, SledKvsEngine, TokioFsEngine};
use tempfile::TempDir;

impl<P: ThreadPool> Open for KvStore<P> {
    fn open(dir: &Path, concurrency: u32) -> Result<Self> {
        KvStore::<P>::open(dir, concurrency)
    }
}

impl Open for TokioFsEngine {
    fn open(dir: &Path, concurrency: u32) -> Result<Self> {
        TokioFsEngine::open(dir, concurrency)
    }
}

impl<P: ThreadPool> Open for SledKvsEngine<P> {
    fn open(dir: &Path, concurrency: u32) -> Result<Self> {
        SledKvsEngine::<P>::open(dir, SyncLevel::EverySec, concurrency)
    }
}

/// Instantiates the tests of every engine for each engine on each pool.
macro_rules! for_every_pool {
    ($name:ident $engine:ident) => {
        mod $name {
            for_every_pool!(@pool naive $engine NaiveThreadPool);
            for_every_pool!(@pool shared_queue $engine SharedQueueThreadPool);
            for_every_pool!(@pool rayon $engine RayonThreadPool);
        }
    };
    (@pool $name:ident $engine:ident $pool:ident) => {
        mod $name {
            crate::every_engine::engine_keeps_its_promises!(crate::$engine<crate::$pool>);
        }
    };
}

for_every_pool!(kv_store KvStore);
for_every_pool!(sled_engine SledKvsEngine);

mod tokio_fs {
    crate::every_engine::engine_keeps_its_promises!(crate::TokioFsEngine);
}

/// Opens a store that caches no values and compacts its segments soon.
fn uncached(dir: &TempDir, concurrency: u32) -> KvStore<SharedQueueThreadPool> {
    let options = KvStore::<SharedQueueThreadPool>::options()
        .cache_bytes(0)
        .dead_bytes(1024 * 1024);
    options.open(dir.path(), concurrency).unwrap()
}
