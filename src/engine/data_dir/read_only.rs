//! A data directory for those that only read it.

use std::fs::{self, TryLockError};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::OFlags;

use super::access::is_shared;
use super::{boot, locked, marker};
use crate::engine::files::{Directory, File};
use crate::engine::open_dir::OpenDir;
use crate::error::{KvsError, Result};

/// A data directory that is opened for reading only, and not claimed.
///
/// It can belong to another user, or be on a file system that is mounted read-only.
#[derive(Debug)]
pub struct ReadOnlyDir(OpenDir);

impl ReadOnlyDir {
    /// Opens the directory `path`.
    ///
    /// # Errors
    ///
    /// [`KvsError::Locked`] if a store uses it, [`KvsError::Io`] if it cannot be opened.
    pub fn open(path: &Path) -> Result<ReadOnlyDir> {
        let dir = OpenDir::open(path, false);
        let dir = ReadOnlyDir(dir.map_err(KvsError::io(format_args!("open {path:?}")))?);
        dir.check_unused()?;
        Ok(dir)
    }

    /// Checks that no store has claimed the directory meanwhile.
    ///
    /// # Errors
    ///
    /// [`KvsError::Locked`] if a store has.
    pub fn check_unused(&self) -> Result<()> {
        let is_used = is_locked(self.0.handle())
            // An older version locks only the marker.
            || self
                .0
                .open_file(marker::NAME, OFlags::RDONLY)
                .is_ok_and(|marker| !is_shared(&marker) && is_locked(&marker));
        if is_used {
            Err(locked(&self.0))
        } else {
            Ok(())
        }
    }
}

impl Directory for ReadOnlyDir {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    /// Opens a file for reading only.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(self.0.open_file(name, OFlags::RDONLY)?))
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn File>> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self) -> io::Result<()> {
        // This directory has changed nothing.
        Ok(())
    }

    fn boot(&self) -> String {
        boot()
    }
}

/// Returns whether another process or another store holds the lock of `file`. Tries to take the
/// lock, shared, so that two processes that check at the same time do not take each other for a
/// store.
fn is_locked(file: &fs::File) -> bool {
    let locked = file.try_lock_shared();
    // At once, because a store that starts waits for readers only briefly.
    let _ = file.unlock();
    matches!(locked, Err(TryLockError::WouldBlock))
}
