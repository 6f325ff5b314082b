//! The promises of every engine, and those of `KvStore` alone.

#[path = "../common/mod.rs"]
mod common;
mod compaction;
mod damage;
mod every_engine;
mod sled_database;
mod store;

use std::path::Path;

use futures::future::Future;
use kvs::engine::SyncLevel;
use kvs::thread_pool::{NaiveThreadPool, RayonThreadPool, SharedQueueThreadPool, ThreadPool};
use kvs::{KvStore, KvsEngine, Result, SledKvsEngine, TokioFsEngine};
use tempfile::TempDir;

/// An engine that a generic test can open.
trait Open: KvsEngine {
    fn open(dir: &Path, concurrency: u32) -> Result<Self>;
}

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

/// Calls each of these generic functions as a test for every engine on every pool, with one thread
/// and with eight.
macro_rules! for_every_engine {
    ($tests:tt) => {
        for_every_engine!(@engine kv_store KvStore $tests);
        for_every_engine!(@engine sled_engine SledKvsEngine $tests);
        for_every_engine!(@tests tokio_fs (crate::TokioFsEngine) $tests);
    };
    (@engine $name:ident $engine:ident $tests:tt) => {
        mod $name {
            for_every_engine!(@pool naive $engine NaiveThreadPool $tests);
            for_every_engine!(@pool shared_queue $engine SharedQueueThreadPool $tests);
            for_every_engine!(@pool rayon $engine RayonThreadPool $tests);
        }
    };
    (@pool $name:ident $engine:ident $pool:ident $tests:tt) => {
        for_every_engine!(@tests $name (crate::$engine<crate::$pool>) $tests);
    };
    (@tests $name:ident ($engine:ty) { $($test:ident),* $(,)? }) => {
        mod $name {
            $(#[test]
            fn $test() {
                for concurrency in [1, 8] {
                    crate::every_engine::$test::<$engine>(concurrency);
                }
            })*
        }
    };
}

for_every_engine!({
    a_value_that_was_set_is_there,
    a_missing_key_has_no_value,
    a_value_can_be_overwritten,
    a_removed_key_does_not_exist,
    removing_a_missing_key_is_key_not_found,
    any_string_is_a_key_and_a_value,
    values_are_there_after_opening_again,
    a_store_can_be_opened_again_right_after_its_drop,
    many_tasks_can_set_and_get_at_once,
    many_futures_can_be_under_way_together,
    futures_are_send_and_outlive_their_engine,
    an_engine_of_no_threads_is_an_error,
});

fn owned<const N: usize>(strings: [&str; N]) -> [String; N] {
    strings.map(str::to_owned)
}

fn set(engine: &impl KvsEngine, key: &str, value: &str) {
    let [key, value] = owned([key, value]);
    engine.set(key, value).wait().unwrap();
}

fn get(engine: &impl KvsEngine, key: &str) -> Option<String> {
    engine.get(key.to_owned()).wait().unwrap()
}

fn open<E: Open>(concurrency: u32) -> (TempDir, E) {
    let dir = tempfile::tempdir().unwrap();
    let engine = E::open(dir.path(), concurrency).unwrap();
    (dir, engine)
}

/// Opens a store that caches no values and compacts its segments soon.
fn uncached(dir: &TempDir, concurrency: u32) -> KvStore<SharedQueueThreadPool> {
    let options = KvStore::<SharedQueueThreadPool>::options()
        .cache_bytes(0)
        .dead_bytes(1024 * 1024);
    options.open(dir.path(), concurrency).unwrap()
}
