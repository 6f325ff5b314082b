//! The files of a log, with the words of their errors.

use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::engine::files::File;
use crate::error::{KvsError, Result};

/// A [`File`] whose errors name it and the action that failed. Clones share the open file.
#[derive(Debug, Clone)]
pub(crate) struct LogFile {
    file: Arc<dyn File>,
    path: PathBuf,
}

impl LogFile {
    /// `path` is the path of the file, or of the file that it becomes when it is published.
    pub(super) fn new(file: Arc<dyn File>, path: PathBuf) -> LogFile {
        LogFile { file, path }
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the length of the file, in bytes.
    pub(crate) fn len(&self) -> Result<u64> {
        self.file.size().map_err(self.failed("look at"))
    }

    /// Returns whether the file has another name as well, perhaps in another directory. Such a file
    /// must not be written in place.
    pub(crate) fn is_shared(&self) -> Result<bool> {
        self.links().map(|links| links > 1)
    }

    /// Returns whether the file has a name.
    pub(crate) fn has_name(&self) -> Result<bool> {
        self.links().map(|links| links > 0)
    }

    fn links(&self) -> Result<u64> {
        self.file.links().map_err(self.failed("look at"))
    }

    /// Reads the `len` bytes at `offset`.
    pub(crate) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(self.read_failed(offset))?;
        Ok(bytes)
    }

    /// Fills `buffer` with the bytes at `offset`. Returns `None` if the system would have to wait
    /// for the disk.
    pub(crate) fn read_at_once(&self, buffer: &mut [u8], offset: u64) -> Option<()> {
        self.file.read_exact_at_once(buffer, offset).ok()
    }

    /// Returns a buffered reader of the bytes between `offset` and `end`.
    pub(crate) fn reader(&self, offset: u64, end: u64) -> BufReader<FileReader> {
        const LONGEST: u64 = 128 * 1024;
        // Most segments are long. For a short one, a buffer of its length is enough.
        let capacity = end.saturating_sub(offset).min(LONGEST) as usize;
        BufReader::with_capacity(capacity, self.unbuffered(offset))
    }

    /// Returns a reader of the bytes from `offset` on, for callers that read large blocks.
    pub(crate) fn unbuffered(&self, offset: u64) -> FileReader {
        FileReader {
            file: Arc::clone(&self.file),
            offset,
        }
    }

    /// Returns whether a write need not wait for the disk.
    pub(crate) fn can_write_at_once(&self) -> bool {
        self.file.can_write_at_once()
    }

    /// Writes all of `bytes` at `offset`. After an error, a part of them may have been written.
    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(self.failed("write to"))
    }

    /// Cuts the file off after `len` bytes.
    pub(crate) fn truncate(&self, len: u64) -> Result<()> {
        self.file.truncate(len).map_err(self.failed("shorten"))
    }

    /// Waits until everything that was written so far is on the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync().map_err(self.failed("sync"))
    }

    /// Returns the error of a read at `offset`.
    pub(super) fn read_failed(&self, offset: u64) -> impl FnOnce(io::Error) -> KvsError {
        move |error| KvsError::io(format_args!("read {:?} at byte {offset}", self.path))(error)
    }

    fn failed(&self, action: &'static str) -> impl FnOnce(io::Error) -> KvsError {
        move |error| KvsError::io(format_args!("{action} {:?}", self.path))(error)
    }
}

/// Reads a file in sequence. It has a position of its own, so any number of readers can share a
/// file.
#[derive(Debug)]
pub(crate) struct FileReader {
    file: Arc<dyn File>,
    offset: u64,
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        // The position that the system has for a file would be the same for all readers.
        let n = self.file.read_at(buffer, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}
