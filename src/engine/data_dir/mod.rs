//! One directory, one engine, one process: the claim on a data directory.

mod access;
mod marker;
mod read_only;
#[cfg(test)]
mod tests;

use std::fs::{self, TryLockError};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::warn;
use rustix::fs::OFlags;

use self::access::{Owner, give, owner_of};
pub use self::read_only::ReadOnlyDir;
use super::EngineKind;
use super::files::{Directory, File};
use super::open_dir::{OpenDir, try_lock};
use crate::error::{KvsError, Result};

/// A data directory that no other store can claim until this is dropped or the process ends.
///
/// The claim is on the directory and not on its path. If the directory is moved, or another one
/// takes its place, the claim and all files opened through it stay with the claimed directory.
#[derive(Debug)]
pub struct DataDir {
    /// This lock decides: an open directory cannot be replaced by another one.
    dir: OpenDir,
    /// Locked as well, because older versions check only this lock.
    marker: fs::File,
    /// The owner of the files. If root creates one, this user must be able to open it.
    owner: Owner,
}

impl DataDir {
    /// Claims the directory `path` for `engine`, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// [`KvsError::Locked`] if another store uses the directory, [`KvsError::WrongEngine`] if
    /// another engine wrote it, [`KvsError::Io`] if it cannot be created or written.
    pub fn claim(path: impl Into<PathBuf>, engine: EngineKind) -> Result<DataDir> {
        let mut dir = DataDir::lock(&path.into())?;
        match marker::engine_in(&dir.dir, &dir.marker)? {
            Some(found) if found != engine.format() => {
                return Err(KvsError::WrongEngine {
                    dir: dir.dir.path().to_owned(),
                    found,
                    asked: engine,
                });
            }
            // The directory is new, or a crash has left the marker empty.
            _ => dir.mark(engine)?,
        }
        Ok(dir)
    }

    /// Claims a directory with a damaged or missing marker, and writes a new marker.
    ///
    /// # Errors
    ///
    /// Those of [`claim`](DataDir::claim).
    pub(super) fn claim_anew(path: &Path, engine: EngineKind) -> Result<DataDir> {
        let mut dir = DataDir::lock(path)?;
        // After a crash at this point, the engine is recognized by its files.
        dir.marker.set_len(0).map_err(dir.cannot("write"))?;
        dir.mark(engine)?;
        Ok(dir)
    }

    /// Returns the engine that wrote the directory `path`, or `None` if it holds no data. If the
    /// marker is missing, recognizes the engine by its files.
    ///
    /// # Errors
    ///
    /// [`KvsError::Io`] if the directory cannot be read, [`KvsError::Damaged`] if the marker names
    /// no engine.
    pub fn engine_of(path: &Path) -> Result<Option<EngineKind>> {
        DataDir::engine_by(path, marker::engine_of)
    }

    /// Returns the engine whose files are in the directory `path`, without asking the marker.
    ///
    /// # Errors
    ///
    /// [`KvsError::Io`] if the directory cannot be read.
    pub(super) fn engine_of_files(path: &Path) -> Result<Option<EngineKind>> {
        DataDir::engine_by(path, marker::engine_of_files)
    }

    fn engine_by(
        path: &Path,
        engine: impl FnOnce(&OpenDir) -> Result<Option<EngineKind>>,
    ) -> Result<Option<EngineKind>> {
        match OpenDir::open(path, false) {
            Ok(dir) => engine(&dir),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(KvsError::io(format_args!("open {path:?}"))(error)),
        }
    }

    /// Locks the directory and opens its marker. Creates both if they do not exist.
    fn lock(path: &Path) -> Result<DataDir> {
        let dir = OpenDir::open(path, true);
        DataDir::lock_opened(
            dir.map_err(KvsError::io(format_args!("use {path:?} as data directory")))?,
        )
    }

    fn lock_opened(dir: OpenDir) -> Result<DataDir> {
        match dir.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(&dir)),
            Err(TryLockError::Error(error)) => warn!(
                "the file system cannot lock {:?}: {error}; the lock on {:?} keeps a second server out, so do not remove or replace that file",
                dir.path(),
                marker::NAME
            ),
        }
        let marker = marker::open(&dir)?;
        // An older version may hold only this lock.
        match try_lock(&marker) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(&dir)),
            Err(TryLockError::Error(error)) => return Err(marker::cannot("lock", &dir)(error)),
        }
        let owner = owner_of(&marker).map_err(marker::cannot("inspect", &dir))?;
        Ok(DataDir { dir, marker, owner })
    }

    /// Writes the engine into an empty marker.
    fn mark(&mut self, engine: EngineKind) -> Result<()> {
        let is_marked = self.marker.size().map_err(self.cannot("inspect"))? > 0;
        if is_marked {
            return Ok(());
        }
        let write = || {
            // Root may create the marker for a user that owns the directory.
            let owner = owner_of(self.dir.handle())?;
            give(&self.marker, owner)?;
            writeln!(&self.marker, "{}", engine.format())?;
            self.marker.sync_all()?;
            match self.dir.sync() {
                // Opening the store reports it.
                Err(error) if error.kind() == ErrorKind::Unsupported => {}
                synced => synced?,
            }
            owner_of(&self.marker)
        };
        self.owner = write().map_err(self.cannot("write"))?;
        Ok(())
    }

    fn cannot(&self, act: &str) -> impl FnOnce(io::Error) -> KvsError + use<> {
        marker::cannot(act, &self.dir)
    }

    /// Returns a path for code that takes no descriptor. The path leads to this directory until
    /// `self` is dropped, even if the directory is moved. Only Linux has such a path. Elsewhere,
    /// returns the path that the directory had when it was claimed.
    #[cfg(feature = "sled")]
    pub(super) fn path_of_descriptor(&self) -> PathBuf {
        self.dir.path_of_descriptor()
    }

    /// Replaces each file that has other names, such as in a copy of the directory, by a copy. For
    /// an engine that writes to existing files and does not check their names.
    #[cfg(feature = "sled")]
    pub(super) fn unshare_files(&self) -> io::Result<()> {
        for name in self.dir.list()? {
            let file = self.dir.open_file(&name, OFlags::RDONLY)?;
            if file.metadata()?.is_file() && access::is_shared(&file) {
                access::unshare(&self.dir, &name, &file)?;
            }
        }
        Ok(())
    }

    /// Opens the file `name` for reading and writing.
    pub(super) fn open_file(&self, name: &str) -> io::Result<fs::File> {
        self.dir.open_file(name, OFlags::RDWR)
    }

    /// Creates the file `name` for the owner of the directory's files.
    pub(super) fn create_file(&self, name: &str) -> io::Result<fs::File> {
        let file = self.dir.create_file(name)?;
        give(&file, self.owner)?;
        Ok(file)
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // Closing is not enough: a child process that is just being started has a copy of the
        // descriptor until it execs, and the lock with it.
        let _ = self.marker.unlock();
    }
}

impl Directory for DataDir {
    /// Returns the absolute path that the directory had when it was claimed.
    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.dir.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(self.open_file(name)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(self.create_file(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.dir.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.dir.remove(name)
    }

    fn copy_access(&self, from: &str, to: &str) -> io::Result<()> {
        self.dir.copy_access(from, to)
    }

    fn sync(&self) -> io::Result<()> {
        self.dir.sync()
    }

    /// Does not know the quota of the user, which may leave less.
    fn free_bytes(&self) -> io::Result<u64> {
        let stats = rustix::fs::fstatvfs(self.dir.handle())?;
        let free = stats.f_bavail.saturating_mul(stats.f_frsize);
        // The system refuses to extend a file beyond this limit (`ulimit -f`).
        let longest_file = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
        Ok(longest_file.map_or(free, |longest| free.min(longest)))
    }

    fn boot(&self) -> String {
        boot()
    }
}

/// Returns the identifier of the current boot on Linux, and an empty string elsewhere.
fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map_or(String::new(), |id| id.trim_end().to_owned())
}

fn locked(dir: &OpenDir) -> KvsError {
    KvsError::Locked {
        dir: dir.path().to_owned(),
    }
}
