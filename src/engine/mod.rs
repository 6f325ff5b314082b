//! Storage engines, each behind one interface of futures.
//!
//! An engine knows nothing of the network, and its futures know nothing of tokio. A caller can wait
//! for such a future on any thread, with `store.get(key).wait()`, or chain it into a task of any
//! executor. Inside, an engine is ordinary blocking code that runs on the threads of a
//! [`ThreadPool`](crate::thread_pool::ThreadPool).
//!
//! Hidden items of this module are for the programs, tests and benchmarks of this crate. They are
//! not covered by semantic versioning.

mod data_dir;
pub mod files;
mod future;
mod inside;
mod kvs;
mod open_dir;
mod repair;
mod sled;
mod tokio_fs;

use std::fmt;
use std::str::FromStr;

pub use self::data_dir::{DataDir, ReadOnlyDir};
#[doc(hidden)]
pub use self::future::Deferred;
pub use self::future::EngineFuture;
pub use self::kvs::{
    Damage, KvStore, KvStoreOptions, Lost, Progress, Report, Torn, repair, verify,
};
pub use self::repair::{Repaired, repair_dir, verify_dir};
pub use self::sled::SledKvsEngine;
pub use self::tokio_fs::TokioFsEngine;
pub use crate::stats::EngineStats;

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
    /// Fails with [`KvsError::TooLarge`](crate::KvsError::TooLarge) if the engine cannot hold a key
    /// or a value of that length, and with the errors of the disk.
    fn set(&self, key: String, value: String) -> EngineFuture<()>;

    /// Returns the value of `key`, or `None` if the key does not exist.
    ///
    /// Fails with [`KvsError::Damaged`](crate::KvsError::Damaged) if the value on the disk is not as
    /// it was written, and with the errors of the disk.
    fn get(&self, key: String) -> EngineFuture<Option<String>>;

    /// Removes `key` and its value.
    ///
    /// Fails with [`KvsError::KeyNotFound`](crate::KvsError::KeyNotFound) if the key does not exist,
    /// and with the errors of the disk.
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

    /// Returns the statistics that the engine has at hand.
    fn stats(&self) -> EngineStats {
        EngineStats::default()
    }
}

/// A storage engine, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineKind {
    /// [`KvStore`], the log-structured engine of this crate.
    Kvs,
    /// [`SledKvsEngine`].
    Sled,
    /// [`TokioFsEngine`].
    TokioFs,
}

impl EngineKind {
    /// Every engine.
    #[doc(hidden)]
    pub const ALL: [EngineKind; 3] = [EngineKind::Kvs, EngineKind::Sled, EngineKind::TokioFs];

    /// Returns the name of the engine, which [`parse`](str::parse) accepts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            EngineKind::Kvs => "kvs",
            EngineKind::Sled => "sled",
            EngineKind::TokioFs => "tokio-fs",
        }
    }

    /// Returns the engine that defines the format. A data directory remembers that one.
    pub(crate) fn format(self) -> EngineKind {
        match self {
            // The two engines open each other's directories.
            EngineKind::TokioFs => EngineKind::Kvs,
            itself => itself,
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EngineKind {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<EngineKind, UnknownName> {
        find(name, "engines", &EngineKind::ALL, EngineKind::as_str)
    }
}

/// The moment at which a write completes, and so the failures that an acknowledged write survives:
/// the death of the process, or a power cut.
///
/// [`SledKvsEngine`] promises the same, except that with [`SyncLevel::Always`] a power cut may lose
/// values of more than about 128 KiB, which sled keeps in files that it does not sync.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SyncLevel {
    /// A write completes when it is on the disk. No failure loses an acknowledged write.
    Always,
    /// A write completes when the operating system has it, and is on the disk about a second later.
    /// A kill of the process loses nothing. A power cut loses at most that second.
    #[default]
    EverySec,
    /// A write completes when the operating system has it. The system decides when it writes to the
    /// disk.
    Never,
}

impl SyncLevel {
    /// Every level.
    #[doc(hidden)]
    pub const ALL: [SyncLevel; 3] = [SyncLevel::Always, SyncLevel::EverySec, SyncLevel::Never];

    /// Returns the name of the level, which [`parse`](str::parse) accepts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SyncLevel::Always => "always",
            SyncLevel::EverySec => "everysec",
            SyncLevel::Never => "never",
        }
    }
}

impl fmt::Display for SyncLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SyncLevel {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<SyncLevel, UnknownName> {
        find(name, "levels", &SyncLevel::ALL, SyncLevel::as_str)
    }
}

/// Returns the item of `all` that is called `name`. `kind` names the items in the error.
fn find<T: Copy>(
    name: &str,
    kind: &'static str,
    all: &[T],
    as_str: fn(T) -> &'static str,
) -> Result<T, UnknownName> {
    let all = || all.iter().copied();
    let found = all().find(|item| as_str(*item) == name);
    found.ok_or_else(|| UnknownName {
        name: name.to_owned(),
        kind,
        known: all().map(as_str).collect(),
    })
}

/// The error for a text that names no [`EngineKind`], or no [`SyncLevel`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    name: String,
    kind: &'static str,
    known: Vec<&'static str>,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnknownName { name, kind, known } = self;
        write!(f, "{name:?} is none of the {kind}: {}", known.join(", "))
    }
}

impl std::error::Error for UnknownName {}
