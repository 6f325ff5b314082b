//! The engine of this crate: a log, and an index in memory of where each key's value is.
//!
//! What takes no waiting for a disk is done by whoever asks for it, and the rest on the pool. A read
//! goes there where the system has its bytes no longer in memory. Writes are done together, in
//! rounds: whoever first polls the future of one starts a round, and whoever comes while it runs is
//! in the next one, with everyone else who waits. A round appends all its writes with one system
//! call and, at [`SyncLevel::Always`], syncs them with one more. So there is one writer at a time and
//! no lock around the log: the thread that runs the round owns it. `docs/format.md` has the bytes on
//! disk.

mod check;
mod format;
mod index;
mod journal;
mod log;
mod options;
mod pool;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

pub use self::check::{Damage, Lost, Progress, Report, Torn, holds_log, repair, verify};
use self::format::record;
use self::journal::Journal;
use self::log::syncer::Ticker;
use self::log::{Log, LogStats, Op, Request};
pub use self::options::KvStoreOptions;
use self::pool::Pool;
use self::writer::queue::Queue;
use self::writer::{Handle, Shared};
use super::files::{Directory, check_sync};
use super::{DataDir, EngineFuture, EngineKind, EngineStats, KvsEngine, SyncLevel};
use crate::error::Result;
use crate::sync::{Condvar, Mutex};
use crate::thread_pool::ThreadPool;

/// A log-structured store in a directory of its own.
///
/// ```
/// use futures::Future;
/// use kvs::thread_pool::SharedQueueThreadPool;
/// use kvs::{KvStore, KvsEngine};
///
/// # fn main() -> kvs::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let store = KvStore::<SharedQueueThreadPool>::open(dir.path(), 4)?;
/// store.set("key".to_owned(), "value".to_owned()).wait()?;
/// assert_eq!(store.get("key".to_owned()).wait()?, Some("value".to_owned()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct KvStore<P: ThreadPool> {
    handle: Arc<Handle<P>>,
}

impl KvStoreOptions {
    /// Opens the store, as [`KvStore::open`] does.
    ///
    /// # Errors
    ///
    /// Those of [`KvStore::open`].
    pub fn open<P: ThreadPool>(
        &self,
        path: impl Into<PathBuf>,
        concurrency: u32,
    ) -> Result<KvStore<P>> {
        self.open_in(DataDir::claim(path, EngineKind::Kvs)?, concurrency)
    }

    /// Opens the store in any directory that behaves like one.
    ///
    /// # Errors
    ///
    /// Those of [`KvStore::open`] that have to do with the log.
    pub fn open_in<P: ThreadPool>(
        &self,
        dir: impl Directory + 'static,
        concurrency: u32,
    ) -> Result<KvStore<P>> {
        let pool = P::new(concurrency)?;
        let dir: Arc<dyn Directory> = Arc::new(dir);
        check_sync(&*dir, self.sync)?;
        let journal = Journal::default();
        let opened = Log::open(Arc::clone(&dir), self.clone(), journal.clone());
        journal.write_out();
        let log = opened?;
        let syncer = Arc::clone(log.syncer());
        let ticker = match self.sync {
            SyncLevel::EverySec => Some(Ticker::start(Arc::clone(&syncer), journal.clone())?),
            SyncLevel::Always | SyncLevel::Never => None,
        };
        let shared = Arc::new(Shared {
            index: Arc::clone(log.index()),
            figures: Mutex::new(log.stats()),
            queue: Mutex::new(Queue::new(log)),
            syncer,
            step_bytes: self.step_bytes(),
            log_is_back: Condvar::new(),
            journal,
            pool: Pool::new(pool),
        });
        let handle = Arc::new(Handle {
            shared,
            sync: self.sync,
            ticker,
            dir: Some(dir),
        });
        Ok(KvStore { handle })
    }
}

impl<P: ThreadPool> KvStore<P> {
    /// Opens the store in the directory `path`, which may be new, with `concurrency` threads to
    /// work on it.
    ///
    /// # Errors
    ///
    /// What [`DataDir::claim`] says of the directory, [`KvsError::Damaged`] where the log in it is
    /// not what was written, and what [`ThreadPool::new`] says of `concurrency` threads.
    pub fn open(path: impl Into<PathBuf>, concurrency: u32) -> Result<KvStore<P>> {
        KvStore::<P>::options().open(path, concurrency)
    }

    /// The settings that a store can be opened with.
    #[must_use]
    pub fn options() -> KvStoreOptions {
        KvStoreOptions::default()
    }

    /// Waits until everything that was written before the call is on the disk, whatever the
    /// [`SyncLevel`].
    ///
    /// The future fails with [`KvsError::EngineStopped`] where an earlier sync has failed, and with
    /// what the disk reports.
    pub fn sync(&self) -> EngineFuture<()> {
        let shared = &self.handle.shared;
        let syncer = Arc::clone(&shared.syncer);
        shared.run_job(move || syncer.sync())
    }

    fn write(&self, key: String, op: Op) -> EngineFuture<()> {
        if let Err(error) = record::check_lengths(&key, op.value()) {
            return EngineFuture::done(Err(error));
        }
        let shared = &self.handle.shared;
        let (promise, n) = shared.queue.lock().push(Request { key, op }, shared);
        EngineFuture::put_off(promise, n)
    }
}

impl<P: ThreadPool> KvsEngine for KvStore<P> {
    fn set(&self, key: String, value: String) -> EngineFuture<()> {
        self.write(key, Op::Set(value))
    }

    fn get(&self, key: String) -> EngineFuture<Option<String>> {
        let shared = &self.handle.shared;
        let index = shared.index.read();
        if let Some(value) = index.value(&key) {
            return EngineFuture::done(Ok(Some(value.to_owned()))).with_size(value.len());
        }
        let place = index.find(&key);
        drop(index);
        shared.read(key, place)
    }

    fn get_in_order(&self, key: String) -> EngineFuture<Option<String>> {
        let shared = &self.handle.shared;
        let mut queue = shared.queue.lock();
        if !queue.may_write(&key) {
            // It reads what it would read behind them.
            drop(queue);
            return self.get(key);
        }
        let op = Op::Get;
        let (promise, n) = queue.push(Request { key, op }, shared);
        EngineFuture::put_off(promise, n)
    }

    fn remove(&self, key: String) -> EngineFuture<()> {
        self.write(key, Op::Remove)
    }

    /// The queue does.
    fn keeps_order(&self) -> bool {
        true
    }

    fn stats(&self) -> EngineStats {
        let (keys, live_bytes) = {
            let index = self.handle.shared.index.read();
            (index.len(), index.live_bytes())
        };
        let LogStats {
            dead_bytes,
            segments,
            compacted,
        } = *self.handle.shared.figures.lock();
        EngineStats {
            engine: Some(EngineKind::Kvs.to_string()),
            sync: Some(self.handle.sync.to_string()),
            keys: Some(keys as u64),
            live_bytes: Some(live_bytes),
            dead_bytes: Some(dead_bytes),
            segments: Some(segments as u64),
            seconds_since_compaction: compacted.map(|at| at.elapsed().as_secs()),
        }
    }
}
