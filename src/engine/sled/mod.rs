//! sled behind the engine's interface.
//!
//! ```text
//!  mod     the engine: each request becomes a job on the pool
//!  flush   the queue of jobs, and the flush that the requests in it share
//!  scan    reads a page of a scan
//!  open    the directory, and sled's own threads
//!  error   the errors and the panics of sled
//! ```

mod error;
mod flush;
mod open;
mod scan;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use futures::sync::oneshot::Sender;

use self::flush::{Access, Answer, Done, Job, Shared};
use self::open::{SLED_THREADS, SledDir, open_db, start_threads};
use self::scan::read_page;
use super::files::check_sync;
use super::inside::{Inside, is_inside};
use super::{DataDir, EngineFuture, EngineKind, EngineStats, KvsEngine, SyncLevel};
use crate::error::{KvsError, Result};
use crate::scan::{Page, Scan};
use crate::thread_pool::{ThreadPool, check_threads};

/// A [`sled::Db`] as an engine. sled's calls may block, so each runs on the pool.
///
/// sled keeps writes in the memory of the process until it flushes them. The engine therefore
/// answers a write after a flush that began when sled had the write, and one flush answers all the
/// writes that wait for it. A read of a key whose last write is not flushed waits for that flush
/// too, so no caller sees a value that a kill could still lose.
#[derive(Debug, Clone)]
pub struct SledKvsEngine<P: ThreadPool> {
    handle: Arc<Handle>,
    pool: P,
}

impl<P: ThreadPool> SledKvsEngine<P> {
    /// Wraps a database that is already open, with `concurrency` threads to work on it.
    ///
    /// An acknowledged write survives a kill. It reaches the disk when the database's own settings
    /// say so. sled may keep its lock for a moment after the last handle of a database is dropped.
    /// [`open`](SledKvsEngine::open) waits for that, and this function cannot.
    ///
    /// # Errors
    ///
    /// Those of [`ThreadPool::new`], for `concurrency` threads and for the threads that sled needs.
    pub fn new(db: sled::Db, concurrency: u32) -> Result<SledKvsEngine<P>> {
        let pool = P::new(concurrency)?;
        check_threads(SLED_THREADS)?;
        start_threads(&db);
        Ok(SledKvsEngine {
            handle: Arc::new(Handle {
                shared: Arc::new(Shared::new(db, None)),
                // The settings of the database decide when a write reaches the disk.
                sync: SyncLevel::Never,
                dir: None,
            }),
            pool,
        })
    }

    /// Opens the database in the directory `path`, and creates both if they do not exist.
    ///
    /// # Errors
    ///
    /// Those of [`DataDir::claim`]. [`KvsError::Locked`] if another program has the database open,
    /// [`KvsError::Sled`] if sled cannot open it. Those of [`ThreadPool::new`], for `concurrency`
    /// threads and for the threads that sled needs.
    pub fn open(
        path: impl Into<PathBuf>,
        sync: SyncLevel,
        concurrency: u32,
    ) -> Result<SledKvsEngine<P>> {
        // The claim comes first, so that a directory in use costs no threads.
        let dir = DataDir::claim(path, EngineKind::Sled)?;
        let pool = P::new(concurrency)?;
        check_threads(SLED_THREADS)?;
        check_sync(&dir, sync)?;
        let db = open_db(&dir, sync)?;
        start_threads(&db);
        let dir = SledDir(dir);
        let log = match sync {
            SyncLevel::Always => {
                let log = dir.open_log();
                Some(log.map_err(KvsError::io("open sled's log, to sync it"))?)
            }
            SyncLevel::EverySec | SyncLevel::Never => None,
        };
        let handle = Arc::new(Handle {
            shared: Arc::new(Shared::new(db, log)),
            sync,
            dir: Some(dir),
        });
        Ok(SledKvsEngine { handle, pool })
    }

    /// Runs `request`, which reads or writes `key`, on the pool, or at once if this thread is
    /// already inside a pool.
    fn spawn<T, F>(&self, access: Access, key: String, request: F) -> EngineFuture<T>
    where
        F: FnOnce(&sled::Db, &str) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        if is_inside() {
            // The pool may have no other thread for the job.
            let result = self.handle.shared.run_at_once(access, &key, request);
            return EngineFuture::done(result);
        }
        let (sender, future) = EngineFuture::pending();
        self.push(move |shared, db| {
            let (result, wrote) = shared.run(db, access, &key, request);
            shared.end(key, wrote, answer(sender, result))
        });
        future
    }

    /// Puts a request into the queue, and asks the pool to run it.
    fn push(&self, request: impl FnOnce(&Shared, &sled::Db) -> Done + Send + 'static) {
        let shared = &self.handle.shared;
        shared.push(Job::Request(Box::new(request)));
        spawn_work(&self.pool, shared);
    }
}

/// Returns the answer of a request that sled has done.
fn answer<T: Send + 'static>(sender: Sender<EngineFuture<T>>, result: Result<T>) -> Answer {
    Box::new(move |flushed| {
        let result = result.and_then(|item| flushed.map(|()| item));
        // If the caller has dropped the future, the result has no receiver.
        let _ = sender.send(EngineFuture::done(result));
    })
}

impl<P: ThreadPool> KvsEngine for SledKvsEngine<P> {
    fn set(&self, key: String, value: String) -> EngineFuture<()> {
        self.spawn(Access::Write, key, move |db, key| {
            db.insert(key, value.into_bytes())?;
            Ok(())
        })
    }

    fn get(&self, key: String) -> EngineFuture<Option<String>> {
        self.spawn(Access::Read, key, |db, key| match db.get(key)? {
            None => Ok(None),
            Some(value) => match String::from_utf8(value.to_vec()) {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(KvsError::NotUtf8 { key: key.into() }),
            },
        })
    }

    fn remove(&self, key: String) -> EngineFuture<()> {
        self.spawn(Access::Write, key, |db, key| match db.remove(key)? {
            Some(_) => Ok(()),
            None => Err(KvsError::KeyNotFound),
        })
    }

    /// Pages come in the order of the keys. A cursor stays valid for ever.
    fn scan(&self, scan: Scan) -> EngineFuture<Page> {
        if is_inside() {
            return EngineFuture::done(self.handle.shared.scan_at_once(scan));
        }
        let (sender, future) = EngineFuture::pending();
        self.push(move |shared, db| match read_page(db, scan) {
            Ok((page, range)) => shared.end_scan(&range, answer(sender, Ok(page))),
            // An error shows no pair that a kill could still lose.
            Err(error) => Done::now(answer(sender, Err(error)), Ok(())),
        });
        future
    }

    fn stats(&self) -> EngineStats {
        EngineStats {
            engine: Some(EngineKind::Sled.to_string()),
            sync: Some(self.handle.sync.to_string()),
            ..EngineStats::default()
        }
    }
}

/// The state that all clones of an engine share. The drop of the last clone closes the database.
struct Handle {
    shared: Arc<Shared>,
    sync: SyncLevel,
    /// `None` for a database that the caller opened.
    dir: Option<SledDir>,
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("sync", &self.sync)
            .field("dir", &self.dir)
            .finish_non_exhaustive()
    }
}

impl Drop for Handle {
    /// Waits for the jobs that other threads run, and runs the others here: this may be a thread of
    /// the pool, which would wait for itself.
    fn drop(&mut self) {
        let Some((db, done)) = self.shared.close() else {
            return;
        };
        // sled flushes the rest. The claim on the directory ends after that, and the callers hear
        // of it last, since one of them may open the directory again.
        drop(db);
        drop(self.dir.take());
        done.into_iter().for_each(Done::answer);
    }
}

/// Runs the next job on `pool`, and then the flush that it asks for.
fn spawn_work<P: ThreadPool>(pool: &P, shared: &Arc<Shared>) {
    // The pool may be the user's own code, and call this engine.
    let _inside = Inside::enter();
    let (on, shared) = (pool.clone(), Arc::clone(shared));
    pool.spawn(move || {
        let _inside = Inside::enter();
        let done = shared.work();
        // Before the answers: one of them may drop the engine, and the pool with it.
        if done.needs_flush {
            spawn_work(&on, &shared);
        }
        done.answer();
    });
}
