//! Storage engines, each behind one interface of futures.
//!
//! An engine knows nothing of the network, and its futures know nothing of tokio. A caller can wait
//! for such a future on any thread, with `store.get(key).wait()`, or chain it into a task of any
//! executor. Inside, an engine is ordinary blocking code that runs on the threads of a
//! [`ThreadPool`](crate::thread_pool::ThreadPool).

#[cfg(feature = "cluster")]
mod cluster;
mod data_dir;
pub mod files;
mod future;
mod inside;
mod kvs;
mod open_dir;
mod repair;
#[cfg(feature = "sled")]
mod sled;
mod sync_level;
mod tokio_fs;

#[cfg(feature = "cluster")]
pub use self::cluster::{ClusterEngine, ClusterOptions};
pub use self::data_dir::{DataDir, ReadOnlyDir};
#[doc(hidden)]
pub use self::future::Deferred;
pub use self::future::EngineFuture;
pub use self::kvs::{
    Damage, KvStore, KvStoreOptions, Lost, Progress, Report, Torn, repair, verify,
};
pub use self::repair::{Repaired, repair_dir, verify_dir};
#[cfg(feature = "sled")]
pub use self::sled::SledKvsEngine;
pub use self::sync_level::SyncLevel;
pub use self::tokio_fs::TokioFsEngine;
pub use crate::names::{EngineKind, UnknownName};
pub use crate::scan::{MAX_PAGE_BYTES, MAX_PAGE_PAIRS, Page, Scan};
pub use crate::stats::{ClusterStats, EngineStats};

use crate::error::KvsError;

/// A store of strings under strings.
///
/// A clone is another handle to the same store. The store closes with its last handle, and can then
/// be opened again at once.
///
/// Dropping a future does not cancel its request. An engine may defer the start of a request until
/// the first poll or the drop of its future, so that it can commit many requests together.
/// Concurrent requests may take effect in any order. A caller that needs an order waits for one
/// future before it makes the next call.
pub trait KvsEngine: Clone + Send + 'static {
    /// Stores `value` under `key`, and replaces an existing value.
    ///
    /// Fails with [`KvsError::TooLarge`] if the engine cannot hold a key or a value of that length,
    /// and with the errors of the disk.
    fn set(&self, key: String, value: String) -> EngineFuture<()>;

    /// Stores `value` under `key` as [`set`](KvsEngine::set) does. A server calls it for strings
    /// that it can lend from its input. The default implementation copies both and calls `set`.
    fn set_str(&self, key: &str, value: &str) -> EngineFuture<()> {
        self.set(key.to_owned(), value.to_owned())
    }

    /// Returns the value of `key`, or `None` if the key does not exist.
    ///
    /// Fails with [`KvsError::Damaged`] if the value on the disk is not as it was written, and with
    /// the errors of the disk.
    fn get(&self, key: String) -> EngineFuture<Option<String>>;

    /// Removes `key` and its value.
    ///
    /// Fails with [`KvsError::KeyNotFound`] if the key does not exist, and with the errors of the
    /// disk.
    fn remove(&self, key: String) -> EngineFuture<()>;

    /// Returns whether requests take effect in the order of the calls, even if the caller does not
    /// wait in between: a `get` with its call, and a write later. A server may then start several
    /// requests of one connection at once.
    fn keeps_order(&self) -> bool {
        false
    }

    /// Returns the value of `key` after all pending writes, like [`get`](KvsEngine::get) for an
    /// engine that [keeps an order](KvsEngine::keeps_order). A caller needs it only if some of the
    /// pending writes are its own.
    fn get_in_order(&self, key: String) -> EngineFuture<Option<String>> {
        self.get(key)
    }

    /// Calls `read` with the value of `key` if the engine has it in memory, and returns the result.
    /// That spares a caller the copy that [`get`](KvsEngine::get) returns. `None` says nothing
    /// about the key.
    ///
    /// The engine may hold a lock meanwhile, so `read` must not call it.
    fn with_value<T>(&self, key: &str, read: impl FnOnce(&str) -> T) -> Option<T> {
        let _ = (key, read);
        None
    }

    /// If no write of `key` is pending, calls `read` as [`with_value`](KvsEngine::with_value) does.
    /// The value is then the one that [`get_in_order`](KvsEngine::get_in_order) would return.
    /// Otherwise, returns `None`.
    fn with_value_in_order<T>(&self, key: &str, read: impl FnOnce(&str) -> T) -> Option<T> {
        let _ = (key, read);
        None
    }

    /// Prepares for reads of these keys that follow at once. A store that is larger than the
    /// fastest caches of the processor can look all keys up in less time together than one after
    /// the other. An engine need not do anything.
    fn look_ahead<'k>(&self, keys: impl Iterator<Item = &'k str>) {
        let _ = keys;
    }

    /// Returns the next page of a scan of all pairs. [`Scan`] says which pairs a scan returns.
    ///
    /// Fails with [`KvsError::BadCursor`] if the engine cannot continue from the cursor, with
    /// [`KvsError::CannotScan`] if the engine does not implement scans, and with the errors of
    /// [`get`](KvsEngine::get).
    fn scan(&self, scan: Scan) -> EngineFuture<Page> {
        let _ = scan;
        EngineFuture::done(Err(KvsError::CannotScan))
    }

    /// Returns the statistics that the engine has at hand.
    fn stats(&self) -> EngineStats {
        EngineStats::default()
    }
}
