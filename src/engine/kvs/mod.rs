//! The engine of this crate: a **Bitcask** with **group commit**.
//!
//! The design is that of Bitcask, the store of Riak. Writes are appended to a **log** of segments.
//! A **keydir** in memory has the location of the newest record of each key, so a read is one
//! system call. **Hint files** let a store open without reading its values. **Compaction** copies
//! the live records out of old segments, in the background. `docs/format.md` describes the files.
//!
//! Group commit means that one thread commits the queued writes of all threads. The first poll of a
//! write's future commits everything that is queued: one system call appends it, and at
//! [`SyncLevel::Always`] one more syncs it. Writes that arrive meanwhile are committed together
//! after that.
//!
//! Work that need not wait for the disk is done on the thread that asks for it: appending to the
//! page cache of the system, and reading from it. Only the rest goes to the thread pool.
//!
//! The modules are layers. Each uses only those above it in this list:
//!
//! - `format`: the files, byte by byte
//! - `options`, `journal`, `pool`: the settings, the log lines, the thread pool
//! - `index`: the keydir, the cache of values, the checkpoint
//! - `log`: appending, syncing, compaction, and recovery when the store opens
//! - `reader`: reads from memory, from the page cache of the system, or on the pool
//! - `scan`: pages of a scan, in the order of the writes
//! - `writer`: group commit
//! - `check`: verify and repair, which use `format` alone

mod check;
mod format;
mod index;
mod journal;
mod log;
mod options;
mod pool;
mod reader;
mod scan;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;

pub use self::check::{Damage, Lost, Progress, Report, Torn, repair, verify};
use self::format::record;
use self::journal::Journal;
use self::log::syncer::{Syncer, Ticker};
use self::log::{Log, LogStats, Op, Request};
pub use self::options::KvStoreOptions;
use self::pool::Pool;
use self::reader::Reader;
use self::writer::Writer;
use super::files::{Directory, check_sync};
use super::{DataDir, EngineFuture, EngineKind, EngineStats, KvsEngine, Page, Scan, SyncLevel};
use crate::error::Result;
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

    /// Opens the store in any [`Directory`], such as one of a test.
    ///
    /// # Errors
    ///
    /// Those of [`KvStore::open`], but for those of claiming the directory.
    pub fn open_in<P: ThreadPool>(
        &self,
        dir: impl Directory + 'static,
        concurrency: u32,
    ) -> Result<KvStore<P>> {
        // The pool comes first: if it does not start, the directory stays as it is.
        let threads = P::new(concurrency)?;
        let dir: Arc<dyn Directory> = Arc::new(dir);
        check_sync(&*dir, self.sync)?;
        let journal = Journal::default();
        let opened = Log::open(Arc::clone(&dir), self.clone(), journal.clone());
        // The lines are written out before an error is returned, because they may explain it.
        journal.write_out();
        let log = opened?;
        let syncer = Arc::clone(log.syncer());
        let ticker = if self.sync == SyncLevel::EverySec {
            Some(Ticker::start(Arc::clone(&syncer))?)
        } else {
            None
        };
        let pool = Arc::new(Pool::new(threads, journal));
        let reader = Arc::new(Reader::new(Arc::clone(log.index()), Arc::clone(&pool)));
        let writer = Writer::new(log, Arc::clone(&reader), Arc::clone(&pool));
        let handle = Handle {
            writer: Arc::new(writer),
            reader,
            syncer,
            pool,
            sync: self.sync,
            ticker,
            dir: Some(dir),
        };
        Ok(KvStore {
            handle: Arc::new(handle),
        })
    }
}

impl<P: ThreadPool> KvStore<P> {
    /// Opens the store in the directory `path`, with `concurrency` threads for its jobs. Creates
    /// the directory if it does not exist.
    ///
    /// # Errors
    ///
    /// - Those of [`DataDir::claim`]
    /// - [`KvsError::Damaged`](crate::KvsError::Damaged) if the log is not as it was written
    /// - Those of [`ThreadPool::new`]
    pub fn open(path: impl Into<PathBuf>, concurrency: u32) -> Result<KvStore<P>> {
        KvStoreOptions::default().open(path, concurrency)
    }

    /// Returns the settings that a store can be opened with.
    #[must_use]
    pub fn options() -> KvStoreOptions {
        KvStoreOptions::default()
    }

    /// Waits until everything that was written before the call is on the disk, at any
    /// [`SyncLevel`].
    ///
    /// The future fails with [`KvsError::EngineStopped`](crate::KvsError::EngineStopped) if an
    /// earlier sync has failed, and with [`KvsError::Io`](crate::KvsError::Io) if this one fails.
    pub fn sync(&self) -> EngineFuture<()> {
        let syncer = Arc::clone(&self.handle.syncer);
        self.handle.pool.run(move || syncer.sync())
    }

    fn write(&self, key: &str, op: Op<&str>) -> EngineFuture<()> {
        // A write that is too long must not fail the others in its batch.
        if let Err(error) = record::check_lengths(key, op.value()) {
            return EngineFuture::done(Err(error));
        }
        self.handle.writer.write(Request { key, op })
    }
}

impl<P: ThreadPool> KvsEngine for KvStore<P> {
    fn set(&self, key: String, value: String) -> EngineFuture<()> {
        self.set_str(&key, &value)
    }

    fn set_str(&self, key: &str, value: &str) -> EngineFuture<()> {
        self.write(key, Op::Set(value))
    }

    fn get(&self, key: String) -> EngineFuture<Option<String>> {
        self.handle.reader.get(key)
    }

    fn get_in_order(&self, key: String) -> EngineFuture<Option<String>> {
        let queued = self.handle.writer.read_in_order(&key);
        queued.unwrap_or_else(|| self.get(key))
    }

    fn with_value<T>(&self, key: &str, read: impl FnOnce(&str) -> T) -> Option<T> {
        self.handle.reader.with_value(key, read)
    }

    fn with_value_in_order<T>(&self, key: &str, read: impl FnOnce(&str) -> T) -> Option<T> {
        if self.handle.writer.may_write(key) {
            return None;
        }
        self.with_value(key, read)
    }

    fn look_ahead<'k>(&self, keys: impl Iterator<Item = &'k str>) {
        self.handle.reader.look_ahead(keys);
    }

    fn remove(&self, key: String) -> EngineFuture<()> {
        self.write(&key, Op::Remove)
    }

    /// Returns the pairs in the order in which they were written last.
    fn scan(&self, scan: Scan) -> EngineFuture<Page> {
        let Handle { reader, pool, .. } = &*self.handle;
        scan::page(&reader.index, pool, scan)
    }

    /// Returns true, because the queue of the writer keeps the order.
    fn keeps_order(&self) -> bool {
        true
    }

    fn stats(&self) -> EngineStats {
        let mut stats = EngineStats::default();
        let Handle {
            reader,
            writer,
            sync,
            ..
        } = &*self.handle;
        let (keys, live_bytes) = reader.size();
        let LogStats {
            dead_bytes,
            segments,
            compacted,
        } = writer.stats();
        stats.engine = Some(EngineKind::Kvs.to_string());
        stats.sync = Some(sync.to_string());
        stats.keys = Some(keys as u64);
        stats.live_bytes = Some(live_bytes);
        stats.dead_bytes = Some(dead_bytes);
        stats.segments = Some(segments as u64);
        stats.seconds_since_compaction = compacted.map(|at| at.elapsed().as_secs());
        stats
    }
}

/// The state that all clones of a store share. Dropping the last clone closes the store.
///
/// A job on the pool holds the writer or the reader, and never this. It may still hold them for a
/// moment after its result was received, and the directory must be free by then.
#[derive(Debug)]
struct Handle<P: ThreadPool> {
    writer: Arc<Writer<P>>,
    reader: Arc<Reader<P>>,
    syncer: Arc<Syncer>,
    pool: Arc<Pool<P>>,
    sync: SyncLevel,
    ticker: Option<Ticker>,
    /// `Some` until the drop.
    dir: Option<Arc<dyn Directory>>,
}

impl<P: ThreadPool> Drop for Handle<P> {
    fn drop(&mut self) {
        let (ticker, dir) = (self.ticker.take(), self.dir.take());
        self.writer.close(|| {
            // The thread of the ticker must not sync a directory that another store has opened.
            drop(ticker);
            drop(dir);
        });
    }
}
