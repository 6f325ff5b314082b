//! The part of a file system that an engine needs: one directory, and the files in it.
//!
//! The two traits are a seam, and public for that reason. A test or a fuzzer implements them to put
//! another file system below an engine: one that fails on demand, or that forgets the unsynced data
//! at a simulated power cut. [`KvStoreOptions::open_in`](super::KvStoreOptions::open_in),
//! [`verify`](super::verify) and [`repair`](super::repair()) take such a directory. New methods
//! will have default implementations.
//!
//! [`DataDir`](super::DataDir) is the directory of the operating system, and
//! [`ReadOnlyDir`](super::ReadOnlyDir) is the same for reading only.

use std::fmt::Debug;
use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use log::warn;

use super::SyncLevel;
use crate::error::{KvsError, Result};

/// A directory that one store has claimed, or that is only read.
pub trait Directory: Debug + Send + Sync {
    /// Returns the path that the directory had when it was opened. It is for messages only: names
    /// are not resolved against it.
    fn path(&self) -> &Path;

    /// Returns the names of the files in the directory, in any order, except those that are not
    /// UTF-8.
    ///
    /// # Errors
    ///
    /// The error of the system, as in all methods of this trait.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens an existing file for reading and writing.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] if the file does not exist.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Creates an empty file, and replaces an existing one.
    ///
    /// # Errors
    ///
    /// The error of the system.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Renames a file, and replaces an existing one. After a crash the file has one of the two
    /// names.
    ///
    /// # Errors
    ///
    /// The error of the system.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Unlinks a file. Open handles to it stay valid.
    ///
    /// # Errors
    ///
    /// The error of the system.
    fn remove(&self, name: &str) -> io::Result<()>;

    /// Gives the file `to` the owner and the mode of the file `from`, as far as this process may.
    /// Does nothing for directories without owners and modes.
    ///
    /// # Errors
    ///
    /// The error of the system, unless the process lacks the permission.
    fn copy_access(&self, _from: &str, _to: &str) -> io::Result<()> {
        Ok(())
    }

    /// Waits until all earlier creations, renames and removals would survive a power cut.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::Unsupported`] if the file system cannot sync directories. After any other
    /// error it is unknown which names would survive.
    fn sync(&self) -> io::Result<()>;

    /// Returns the number of bytes that a new file in this directory can take.
    ///
    /// # Errors
    ///
    /// After any error the number is unknown, and only a write can find out.
    fn free_bytes(&self) -> io::Result<u64> {
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Returns an identifier of the current boot, or an empty string if the machine has none. While
    /// it stays the same, the machine has not lost the data that it was given to write.
    fn boot(&self) -> String;
}

/// An open file, which many threads read and at most one writes.
pub trait File: Debug + Send + Sync {
    /// Returns the length of the file in bytes.
    ///
    /// # Errors
    ///
    /// The error of the system, as in all methods of this trait.
    fn size(&self) -> io::Result<u64>;

    /// Returns the number of names of the file. A file with more than one may also be in another
    /// directory, such as a copy made of hard links, and must not be written in place. A file
    /// without any is only in this process, so the store may shorten it before it drops the handle.
    ///
    /// # Errors
    ///
    /// The error of the system.
    fn links(&self) -> io::Result<u64> {
        Ok(1)
    }

    /// Reads some bytes at `offset`, and returns their number. 0 means that the file ends there.
    ///
    /// # Errors
    ///
    /// The error of the system.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills the whole `buffer` from `offset` on, unless that would wait for a disk.
    ///
    /// # Errors
    ///
    /// An error says nothing about the file. It only means that the caller has to use
    /// [`read_exact_at`](File::read_exact_at).
    fn read_exact_at_once(&self, _buffer: &mut [u8], _offset: u64) -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Returns whether a write goes to the memory of the system, and so does not wait for a disk.
    fn can_write_at_once(&self) -> bool {
        false
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    ///
    /// The error of the system. Some of the bytes may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Truncates the file to `len` bytes.
    ///
    /// # Errors
    ///
    /// The error of the system.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Waits until all earlier writes would survive a power cut.
    ///
    /// # Errors
    ///
    /// The error of the system. It is unknown which writes would survive.
    fn sync(&self) -> io::Result<()>;

    /// Fills the whole `buffer` from `offset` on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] if the file ends before that.
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(buffer, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    buffer = &mut buffer[n..];
                    offset += n as u64;
                }
                // A signal has interrupted the call.
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Checks that `dir` can be synced if `sync` is [`SyncLevel::Always`]. At the other levels, logs a
/// warning if it cannot: a power cut may lose a new file, and so more than the last second.
///
/// # Errors
///
/// [`KvsError::Io`] if `sync` needs a sync that the file system does not have, or if the sync
/// fails.
#[doc(hidden)]
pub fn check_sync(dir: &dyn Directory, sync: SyncLevel) -> Result<()> {
    let path = dir.path();
    match dir.sync() {
        Err(error) if error.kind() != io::ErrorKind::Unsupported => {
            Err(KvsError::io(format_args!("sync {path:?}"))(error))
        }
        Err(_) if sync == SyncLevel::Always => {
            let reason = "its file system cannot sync directories; use another directory, or another sync level";
            let error = io::Error::new(io::ErrorKind::Unsupported, reason);
            Err(KvsError::io(format_args!(
                "open {path:?} with the sync level {sync}"
            ))(error))
        }
        // The records themselves are synced all the same.
        Err(_) => {
            warn!(
                "the file system of {path:?} cannot sync directories: a power cut may lose new files"
            );
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

impl File for fs::File {
    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }

    fn links(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.nlink())
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        FileExt::read_at(self, buffer, offset)
    }

    /// Linux can read from the page cache only. Elsewhere, always fails.
    #[cfg(target_os = "linux")]
    fn read_exact_at_once(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        use rustix::io::{ReadWriteFlags, preadv2};
        let len = buffer.len();
        let buffers = &mut [io::IoSliceMut::new(buffer)];
        // With this flag, the call fails if it would have to wait for the disk.
        match preadv2(self, buffers, offset, ReadWriteFlags::NOWAIT)? {
            n if n == len => Ok(()),
            // The rest of the range is not in memory, or the file ends.
            _ => Err(io::ErrorKind::WouldBlock.into()),
        }
    }

    fn can_write_at_once(&self) -> bool {
        true
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        FileExt::write_all_at(self, bytes, offset)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.set_len(len)
    }

    fn sync(&self) -> io::Result<()> {
        // This includes the length of the file. Its times need no sync.
        self.sync_data()
    }
}
