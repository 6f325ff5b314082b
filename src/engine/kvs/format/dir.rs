//! The directory of a log, with the words of its errors.

use std::io;
use std::path::{Path, PathBuf};

use super::file::LogFile;
use super::names;
use crate::engine::files::Directory;
use crate::error::{KvsError, Result};

/// A [`Directory`] whose errors name the file and the action that failed.
///
/// A new file has an unfinished name until it is published. A crash before that leaves a file that
/// opening the store removes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogDir<'a>(&'a dyn Directory);

impl<'a> LogDir<'a> {
    pub(crate) fn new(dir: &'a dyn Directory) -> LogDir<'a> {
        LogDir(dir)
    }

    pub(crate) fn path(self) -> &'a Path {
        self.0.path()
    }

    /// Returns the path of the file `name`, for messages.
    pub(crate) fn path_of(self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Returns the names of all files.
    pub(crate) fn list(self) -> Result<Vec<String>> {
        let path = self.path();
        self.0
            .list()
            .map_err(KvsError::io(format_args!("list {path:?}")))
    }

    /// Opens the file `name`, which must exist.
    pub(crate) fn open(self, name: &str) -> Result<LogFile> {
        let path = self.path_of(name);
        let opened = self.0.open(name);
        let file = opened.map_err(KvsError::io(format_args!("open {path:?}")))?;
        Ok(LogFile::new(file, path))
    }

    /// Creates the file `name`, empty and unfinished.
    pub(crate) fn create(self, name: &str) -> Result<LogFile> {
        let path = self.path_of(name);
        let created = self.0.create(&names::unfinished(name));
        let file = created.map_err(KvsError::io(format_args!("create {path:?}")))?;
        Ok(LogFile::new(file, path))
    }

    /// Gives the unfinished file `name` the owner and the mode of the file `like`.
    pub(crate) fn copy_access(self, like: &str, name: &str) -> Result<()> {
        let path = self.path_of(name);
        self.0
            .copy_access(like, &names::unfinished(name))
            .map_err(KvsError::io(format_args!(
                "give {path:?} its owner and mode"
            )))
    }

    /// Gives the unfinished file `name` its final name, in the place of a file that has it.
    pub(crate) fn publish(self, name: &str) -> Result<()> {
        let unfinished = names::unfinished(name);
        let path = self.path_of(&unfinished);
        self.0
            .rename(&unfinished, name)
            .map_err(KvsError::io(format_args!(
                "rename {path:?} to its final name"
            )))
    }

    /// Removes the file `name` unless it was published.
    pub(crate) fn discard(self, name: &str) -> Result<()> {
        self.remove(&names::unfinished(name))
    }

    /// Removes the file `name` if it exists. Threads that have opened it can still read it.
    pub(crate) fn remove(self, name: &str) -> Result<()> {
        match self.0.remove(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                let path = self.path_of(name);
                Err(KvsError::io(format_args!("remove {path:?}"))(error))
            }
            // Some segments have no hints, and a crash may have come after the same removal.
            _ => Ok(()),
        }
    }

    /// Makes all names durable: a power cut does not undo an earlier publication or removal.
    pub(crate) fn sync(self) -> Result<()> {
        // If the file system cannot do that, opening the store has reported it.
        self.sync_if_possible().map(|_| ())
    }

    /// Makes all names durable, and returns whether the file system can do that.
    pub(crate) fn sync_if_possible(self) -> Result<bool> {
        match self.0.sync() {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(false),
            Err(error) => {
                let path = self.path();
                Err(KvsError::io(format_args!("sync {path:?}"))(error))
            }
        }
    }

    /// Returns the number of bytes that a new file can take, if the system knows it.
    pub(crate) fn free_bytes(self) -> Option<u64> {
        // If this fails, a write still finds out whether there is room.
        self.0.free_bytes().ok()
    }

    /// Returns the id of the current boot of the machine. It is empty if the system has none.
    pub(crate) fn boot(self) -> String {
        self.0.boot()
    }
}
