//! The engine of this crate on `tokio::fs`: the log of [`KvStore`], read and written in another
//! way.
//!
//! The code of the log is the same. Below it, the directory and its files are those of `tokio_fs`.
//! Their futures block the thread that polls them, and announce that to tokio's pool
//! ([`tokio_threadpool::blocking()`]), so they need such a pool around them. The engine brings its
//! own, a [`BlockingThreadPool`]. A caller can therefore wait for its futures anywhere, as with the
//! other engines. `docs/extension-1-tokio-fs.md` explains this engine and measures its costs.

use std::fs;
use std::io::{self, Read, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use futures::{Async, Poll};
use parking_lot::{Mutex, MutexGuard};

use super::files::{Directory, File};
use super::{
    DataDir, EngineFuture, EngineKind, EngineStats, KvStore, KvStoreOptions, KvsEngine, Page, Scan,
};
use crate::error::Result;
use crate::thread_pool::{BlockingThreadPool, is_in_job};

/// A store like [`KvStore`], whose file work is done through `tokio::fs`.
///
/// Each of the two engines opens the directories of the other.
///
/// ```
/// use futures::Future;
/// use kvs::{KvsEngine, TokioFsEngine};
///
/// # fn main() -> kvs::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let store = TokioFsEngine::open(dir.path(), 4)?;
/// store.set("key".to_owned(), "value".to_owned()).wait()?;
/// assert_eq!(store.get("key".to_owned()).wait()?, Some("value".to_owned()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct TokioFsEngine {
    store: KvStore<BlockingThreadPool>,
}

impl TokioFsEngine {
    /// Opens the store in the directory `path`, and creates both if they do not exist. At most
    /// `concurrency` calls wait for the disk at once.
    ///
    /// # Errors
    ///
    /// Those of [`KvStore::open`].
    pub fn open(path: impl Into<PathBuf>, concurrency: u32) -> Result<TokioFsEngine> {
        TokioFsEngine::open_with(&KvStoreOptions::default(), path, concurrency)
    }

    /// Opens the store with options, as [`open`](TokioFsEngine::open) does.
    ///
    /// # Errors
    ///
    /// Those of [`KvStore::open`].
    pub fn open_with(
        options: &KvStoreOptions,
        path: impl Into<PathBuf>,
        concurrency: u32,
    ) -> Result<TokioFsEngine> {
        let store = options.open_in(TokioDir::claim(path)?, concurrency)?;
        Ok(TokioFsEngine { store })
    }

    /// Returns a future that completes when all earlier writes are on the disk, as
    /// [`KvStore::sync`] does.
    pub fn sync(&self) -> EngineFuture<()> {
        self.store.sync()
    }
}

impl KvsEngine for TokioFsEngine {
    fn set(&self, key: String, value: String) -> EngineFuture<()> {
        self.store.set(key, value)
    }

    fn set_str(&self, key: &str, value: &str) -> EngineFuture<()> {
        self.store.set_str(key, value)
    }

    fn get(&self, key: String) -> EngineFuture<Option<String>> {
        self.store.get(key)
    }

    fn remove(&self, key: String) -> EngineFuture<()> {
        self.store.remove(key)
    }

    fn keeps_order(&self) -> bool {
        self.store.keeps_order()
    }

    fn get_in_order(&self, key: String) -> EngineFuture<Option<String>> {
        self.store.get_in_order(key)
    }

    fn with_value<T>(&self, key: &str, read: impl FnOnce(&str) -> T) -> Option<T> {
        self.store.with_value(key, read)
    }

    fn with_value_in_order<T>(&self, key: &str, read: impl FnOnce(&str) -> T) -> Option<T> {
        self.store.with_value_in_order(key, read)
    }

    fn look_ahead<'k>(&self, keys: impl Iterator<Item = &'k str>) {
        self.store.look_ahead(keys);
    }

    fn scan(&self, scan: Scan) -> EngineFuture<Page> {
        self.store.scan(scan)
    }

    fn stats(&self) -> EngineStats {
        EngineStats {
            engine: Some(EngineKind::TokioFs.to_string()),
            ..self.store.stats()
        }
    }
}

/// A data directory whose files are those of `tokio::fs`.
///
/// The names are resolved against the claimed directory, which `tokio::fs` cannot do. That is a
/// blocking call, like those that `tokio::fs` makes, and a job may block.
#[derive(Debug)]
struct TokioDir(DataDir);

impl TokioDir {
    fn claim(path: impl Into<PathBuf>) -> Result<TokioDir> {
        DataDir::claim(path, EngineKind::TokioFs).map(TokioDir)
    }
}

impl Directory for TokioDir {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        TokioFile::from_std(self.0.open_file(name)?)
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        TokioFile::from_std(self.0.create_file(name)?)
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.0.remove(name)
    }

    fn copy_access(&self, from: &str, to: &str) -> io::Result<()> {
        self.0.copy_access(from, to)
    }

    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }

    fn free_bytes(&self) -> io::Result<u64> {
        self.0.free_bytes()
    }

    fn boot(&self) -> String {
        self.0.boot()
    }
}

/// A file through `tokio::fs`.
#[derive(Debug)]
struct TokioFile {
    /// Locked for each call, because the file has only one cursor.
    file: Mutex<tokio_fs::File>,
    /// The same file and the same cursor, for calls outside jobs: those that open or close the
    /// store, and those of the thread that syncs every second. They use offsets and never the
    /// cursor.
    same: fs::File,
}

impl TokioFile {
    fn from_std(same: fs::File) -> io::Result<Arc<dyn File>> {
        let file = Mutex::new(tokio_fs::File::from_std(same.try_clone()?));
        Ok(Arc::new(TokioFile { file, same }))
    }

    /// Returns the file if the current thread is in a job, and so may block.
    fn if_in_job(&self) -> Option<MutexGuard<'_, tokio_fs::File>> {
        is_in_job().then(|| self.file.lock())
    }
}

impl File for TokioFile {
    fn size(&self) -> io::Result<u64> {
        match self.if_in_job() {
            Some(mut file) => ready(file.poll_metadata()).map(|metadata| metadata.len()),
            None => self.same.size(),
        }
    }

    fn links(&self) -> io::Result<u64> {
        self.same.links()
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        match self.if_in_job() {
            Some(mut file) => {
                ready(file.poll_seek(SeekFrom::Start(offset)))?;
                file.read(buffer)
            }
            None => File::read_at(&self.same, buffer, offset),
        }
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        match self.if_in_job() {
            Some(mut file) => {
                // The lock lasts to the end of the call, so no other call moves the cursor.
                ready(file.poll_seek(SeekFrom::Start(offset)))?;
                file.write_all(bytes)
            }
            None => File::write_all_at(&self.same, bytes, offset),
        }
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        match self.if_in_job() {
            Some(mut file) => ready(file.poll_set_len(len)),
            None => self.same.truncate(len),
        }
    }

    fn sync(&self) -> io::Result<()> {
        match self.if_in_job() {
            Some(mut file) => ready(file.poll_sync_data()),
            None => self.same.sync(),
        }
    }
}

/// Returns the result of a future of `tokio_fs`. In a job, such a future is ready at its first
/// poll.
fn ready<T>(poll: Poll<T, io::Error>) -> io::Result<T> {
    match poll? {
        Async::Ready(item) => Ok(item),
        // This happens only outside a job, and there this module does not call `tokio_fs`.
        Async::NotReady => Err(io::ErrorKind::WouldBlock.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::thread_pool::ThreadPool;

    #[test]
    fn jobs_go_through_tokio_and_others_by_themselves() {
        assert!(!is_in_job());
        let dir = tempfile::tempdir().unwrap();
        let (sender, results) = mpsc::channel();
        let path = dir.path().to_owned();
        BlockingThreadPool::new(1).unwrap().spawn(move || {
            let dir = TokioDir::claim(path).unwrap();
            let is_in_task = is_in_job();
            let file = dir.create("file").unwrap();
            file.write_all_at(b"abc", 1).unwrap();
            let mut buffer = [1; 3];
            file.read_exact_at(&mut buffer, 0).unwrap();
            sender.send((is_in_task, buffer)).unwrap();
        });
        assert_eq!(results.recv().unwrap(), (true, *b"\0ab"));
    }
}
