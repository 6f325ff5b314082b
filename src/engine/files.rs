//! What an engine needs of a file system: one directory, and the files in it.
//!
//! It is this narrow so that a test can put another one underneath: one that fails when told to,
//! or that forgets at a simulated power cut what was not synced. [`DataDir`](super::DataDir) is
//! the real one, and [`ReadOnlyDir`](super::ReadOnlyDir) is a real one that is only read.

use std::fmt::Debug;
use std::fs;
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::sync::Arc;

use log::warn;

use super::SyncLevel;
use crate::error::{KvsError, Result};

/// A directory that one store has to itself, or that is only read.
pub trait Directory: Debug + Send + Sync {
    /// Returns the path that the directory had when it was opened. It is for messages only: names
    /// are not resolved against it.
    fn path(&self) -> &Path;

    /// The names of the files in it, in any order. Those that are not UTF-8 are left out.
    ///
    /// # Errors
    ///
    /// What the system reports, here as in all the others.
    fn list(&self) -> io::Result<Vec<String>>;

    /// Opens a file that is there, for reading and writing.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::NotFound`] where there is no such file.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Makes an empty file, in the place of one that may be there.
    ///
    /// # Errors
    ///
    /// What the system reports.
    fn create(&self, name: &str) -> io::Result<Arc<dyn File>>;

    /// Gives a file another name, in the place of one that may have it. A crash leaves it with
    /// either of the two names.
    ///
    /// # Errors
    ///
    /// What the system reports.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;

    /// Unlinks a file. Whoever has it open can go on.
    ///
    /// # Errors
    ///
    /// What the system reports.
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

    /// Waits until what was created, renamed and removed so far would survive a power cut.
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

    /// What the machine calls the time since it was last started, or nothing where it does not
    /// say. While it stays the same, the machine has not lost what it was given to write.
    fn boot(&self) -> String;
}

/// An open file, shared by those who read it and the one who writes it.
pub trait File: Debug + Send + Sync {
    /// Its length in bytes.
    ///
    /// # Errors
    ///
    /// What the system reports, here as in all the others.
    fn size(&self) -> io::Result<u64>;

    /// Returns the number of names of the file. A file with more than one may also be in another
    /// directory, such as a copy made of hard links, and must not be written in place.
    ///
    /// # Errors
    ///
    /// The error of the system.
    fn links(&self) -> io::Result<u64> {
        Ok(1)
    }

    /// Reads some bytes from `offset` on, and says how many; 0 means that the file ends there.
    ///
    /// # Errors
    ///
    /// What the system reports.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;

    /// Fills the whole `buffer` from `offset` on, where that takes no waiting for a disk.
    ///
    /// # Errors
    ///
    /// Any error means no more than that it takes the other way,
    /// [`read_exact_at`](File::read_exact_at), to know.
    fn read_exact_at_once(&self, _buffer: &mut [u8], _offset: u64) -> io::Result<()> {
        Err(io::ErrorKind::WouldBlock.into())
    }

    /// Whether a write goes to the memory of the system, and so takes no waiting for a disk.
    fn can_write_at_once(&self) -> bool {
        false
    }

    /// Writes all of `bytes` at `offset`.
    ///
    /// # Errors
    ///
    /// What the system reports; then some of them may have been written.
    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;

    /// Cuts the file off after `len` bytes.
    ///
    /// # Errors
    ///
    /// What the system reports.
    fn truncate(&self, len: u64) -> io::Result<()>;

    /// Waits until what was written so far would survive a power cut.
    ///
    /// # Errors
    ///
    /// What the system reports; then nobody can tell what would survive.
    fn sync(&self) -> io::Result<()>;

    /// Fills the whole `buffer` from `offset` on.
    ///
    /// # Errors
    ///
    /// [`io::ErrorKind::UnexpectedEof`] where the file ends before that.
    fn read_exact_at(&self, mut buffer: &mut [u8], mut offset: u64) -> io::Result<()> {
        while !buffer.is_empty() {
            match self.read_at(buffer, offset) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(n) => {
                    buffer = &mut buffer[n..];
                    offset += n as u64;
                }
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

    /// Linux can do that with what it has in memory. Elsewhere nothing is done at once.
    #[cfg(target_os = "linux")]
    fn read_exact_at_once(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        use rustix::io::{ReadWriteFlags, preadv2};
        let len = buffer.len();
        let buffers = &mut [io::IoSliceMut::new(buffer)];
        match preadv2(self, buffers, offset, ReadWriteFlags::NOWAIT)? {
            n if n == len => Ok(()),
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
        self.sync_data()
    }
}
