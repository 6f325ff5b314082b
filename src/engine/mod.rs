//! Storage engines, each behind one interface of futures.
//!
//! An engine knows nothing of the network, and its futures know nothing of tokio: they can be
//! waited for on any thread, with `store.get(key).wait()`, or chained into a task of any executor.
//! Inside, an engine is ordinary blocking code that runs on the threads of a
//! [`ThreadPool`](crate::thread_pool::ThreadPool).

mod data_dir;
pub mod files;
mod future;
mod inside;
mod kvs;
mod open_dir;
#[cfg(feature = "sled")]
mod sled;
mod tokio_fs;

use std::fmt;
use std::str::FromStr;

pub use self::data_dir::{DataDir, ReadOnlyDir};
pub use self::future::{EngineFuture, Together};
pub use self::kvs::{
    Damage, KvStore, KvStoreOptions, Lost, Progress, Report, Torn, holds_log, repair, verify,
};
#[cfg(feature = "sled")]
pub use self::sled::SledKvsEngine;
pub use self::tokio_fs::TokioFsEngine;
pub use crate::names::{EngineKind, EngineStats, UnknownName};

/// A store of strings under strings.
///
/// A clone is another handle to the same store; the store closes with its last handle, and can
/// then be opened again at once.
///
/// Dropping a future does not take the request back: it is a receipt, as a thread's `JoinHandle`
/// is. The work starts at the call, or at the latest with the first poll or the drop: an engine may
/// put it off so long, to do all that was asked for meanwhile together. Requests that are under way
/// together may take effect in any order, so whoever needs an order waits for one future before
/// making the next call.
pub trait KvsEngine: Clone + Send + 'static {
    /// Stores `value` under `key`, in place of what was there.
    ///
    /// Fails with [`KvsError::TooLarge`](crate::KvsError::TooLarge) where the engine cannot hold
    /// a key or a value of that length, and with what the disk reports.
    fn set(&self, key: String, value: String) -> EngineFuture<()>;

    /// Comes out as the value of `key`, or as `None` where the key is not there.
    ///
    /// Fails with [`KvsError::Damaged`](crate::KvsError::Damaged) where what is on disk is not
    /// what was written, and with what the disk reports.
    fn get(&self, key: String) -> EngineFuture<Option<String>>;

    /// Removes `key` and its value.
    ///
    /// Fails with [`KvsError::KeyNotFound`](crate::KvsError::KeyNotFound) where the key is not
    /// there, and with what the disk reports.
    fn remove(&self, key: String) -> EngineFuture<()>;

    /// Whether requests take effect in the order of the calls although nobody waits in between:
    /// `get` with its call, and the others later. Then a connection may have several under way.
    fn keeps_order(&self) -> bool {
        false
    }

    /// The same as [`get`](KvsEngine::get), but behind the writes that are under way. It is there
    /// for engines that [keep an order](KvsEngine::keeps_order), and for whoever has writes of his
    /// own under way: otherwise it only waits for those of others.
    fn get_in_order(&self, key: String) -> EngineFuture<Option<String>> {
        self.get(key)
    }

    /// How the engine is doing, as far as it knows without work.
    fn stats(&self) -> EngineStats {
        EngineStats::default()
    }
}

/// When a write is safe from what: the process dying, or the power failing.
///
/// `SledKvsEngine` promises the same, except that with [`SyncLevel::Always`] a power cut may lose
/// values of more than about 128 KiB, which sled keeps in files that it does not sync.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum SyncLevel {
    /// A write is done when it is on the disk. Nothing that was acknowledged can be lost.
    Always,
    /// A write is done when the operating system has it, and is on the disk about a second later.
    /// Killing the process loses nothing; losing power loses at most that second.
    #[default]
    EverySec,
    /// A write is done when the operating system has it, which decides when it goes to the disk.
    Never,
}

impl SyncLevel {
    /// Every level's name, as `--sync` takes it.
    pub const NAMES: [&'static str; 3] = ["always", "everysec", "never"];
}

impl fmt::Display for SyncLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SyncLevel::Always => "always",
            SyncLevel::EverySec => "everysec",
            SyncLevel::Never => "never",
        })
    }
}

impl FromStr for SyncLevel {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<SyncLevel, UnknownName> {
        match name {
            "always" => Ok(SyncLevel::Always),
            "everysec" => Ok(SyncLevel::EverySec),
            "never" => Ok(SyncLevel::Never),
            _ => Err(UnknownName {
                name: name.to_owned(),
                kind: "levels",
                known: &SyncLevel::NAMES,
            }),
        }
    }
}
