//! sled behind the engine's interface.

use std::io::{self, ErrorKind};
use std::path::PathBuf;
use std::sync::Arc;

use crossbeam_utils::sync::WaitGroup;
use log::warn;

use super::files::{Directory, check_sync};
use super::{DataDir, EngineFuture, EngineKind, EngineStats, KvsEngine, SyncLevel};
use crate::error::{KvsError, Result};
use crate::thread_pool::ThreadPool;

/// A [`sled::Db`] as an engine. sled's calls may block, so each runs on the pool.
#[derive(Debug, Clone)]
pub struct SledKvsEngine<P: ThreadPool> {
    handle: Arc<Handle>,
    pool: P,
}

impl<P: ThreadPool> SledKvsEngine<P> {
    /// Takes a database that is open already, with `concurrency` threads to work on it.
    ///
    /// Writes reach the disk when the database's own settings say so. sled itself may keep the
    /// database locked for a moment after its last handle is gone; [`open`](SledKvsEngine::open)
    /// waits for that, and this cannot.
    ///
    /// # Errors
    ///
    /// What [`ThreadPool::new`] says of `concurrency` threads.
    pub fn new(db: sled::Db, concurrency: u32) -> Result<SledKvsEngine<P>> {
        Ok(SledKvsEngine {
            pool: P::new(concurrency)?,
            handle: Arc::new(Handle {
                jobs: Some(WaitGroup::new()),
                sync: SyncLevel::Never,
                db,
                _dir: None,
            }),
        })
    }

    /// Opens the database in the directory `path`, which may be new.
    ///
    /// # Errors
    ///
    /// What [`DataDir::claim`] says of the directory, [`KvsError::Sled`] where sled cannot open
    /// it, and what [`ThreadPool::new`] says of `concurrency` threads.
    pub fn open(
        path: impl Into<PathBuf>,
        sync: SyncLevel,
        concurrency: u32,
    ) -> Result<SledKvsEngine<P>> {
        let pool = P::new(concurrency)?;
        let dir = DataDir::claim(path, EngineKind::Sled)?;
        let flush_every_ms = match sync {
            SyncLevel::Always | SyncLevel::Never => None,
            SyncLevel::EverySec => Some(1000),
        };
        check_sync(&dir, sync)?;
        // sled opens files by their paths, also later on.
        let config = sled::Config::new().path(dir.path_of_descriptor());
        let db = config.flush_every_ms(flush_every_ms).open()?;
        let handle = Arc::new(Handle {
            jobs: Some(WaitGroup::new()),
            sync,
            db,
            _dir: Some(SledDir(dir)),
        });
        Ok(SledKvsEngine { handle, pool })
    }

    fn spawn<T, F>(&self, job: F) -> EngineFuture<T>
    where
        F: FnOnce(&sled::Db) -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (db, running) = (self.handle.db.clone(), self.handle.jobs.clone());
        EngineFuture::spawn(&self.pool, move || {
            let result = job(&db);
            drop(db);
            drop(running);
            result
        })
    }

    fn write<F>(&self, write: F) -> EngineFuture<()>
    where
        F: FnOnce(&sled::Db) -> Result<()> + Send + 'static,
    {
        let sync = self.handle.sync;
        self.spawn(move |db| {
            write(db)?;
            if sync == SyncLevel::Always {
                db.flush()?;
            }
            Ok(())
        })
    }
}

/// What all clones of an engine share. Whoever drops the last one closes the database, and first
/// waits for the jobs that still use it.
#[derive(Debug)]
struct Handle {
    /// `Some` until the drop; every job holds a clone.
    jobs: Option<WaitGroup>,
    sync: SyncLevel,
    db: sled::Db,
    /// `None` for a database that the caller opened. It has to be dropped after the database.
    _dir: Option<SledDir>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        if let Some(jobs) = self.jobs.take() {
            jobs.wait();
        }
    }
}

/// The claim on sled's directory, which ends when sled has let go of it too: sled's threads may
/// hold the lock on its file for a moment after the database was dropped.
#[derive(Debug)]
struct SledDir(DataDir);

impl Drop for SledDir {
    fn drop(&mut self) {
        let wait = || -> io::Result<()> {
            let file = self.0.open_file("db")?;
            file.lock()?;
            // Closing would leave the lock to a child process that is just being started.
            file.unlock()
        };
        match wait() {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                warn!("sled may still have {:?} open: {error}", self.0.path());
            }
            _ => {}
        }
    }
}

impl<P: ThreadPool> KvsEngine for SledKvsEngine<P> {
    fn set(&self, key: String, value: String) -> EngineFuture<()> {
        self.write(move |db| {
            db.insert(key, value.into_bytes())?;
            Ok(())
        })
    }

    fn get(&self, key: String) -> EngineFuture<Option<String>> {
        self.spawn(move |db| match db.get(&key)? {
            None => Ok(None),
            Some(value) => match String::from_utf8(value.to_vec()) {
                Ok(value) => Ok(Some(value)),
                Err(_) => Err(KvsError::NotUtf8 { key }),
            },
        })
    }

    fn remove(&self, key: String) -> EngineFuture<()> {
        self.write(move |db| match db.remove(key)? {
            Some(_) => Ok(()),
            None => Err(KvsError::KeyNotFound),
        })
    }

    fn stats(&self) -> EngineStats {
        EngineStats {
            engine: Some(EngineKind::Sled.to_string()),
            sync: Some(self.handle.sync.to_string()),
            ..EngineStats::default()
        }
    }
}
