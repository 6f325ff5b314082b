//! Opening a sled database in a claimed directory, and letting go of it.

use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Waker};

use log::warn;

use super::error::catch;
use crate::engine::files::Directory;
use crate::engine::{DataDir, SyncLevel};
use crate::error::{KvsError, Result};

/// The threads that sled starts: seven for its files and one that flushes.
pub(super) const SLED_THREADS: usize = 8;

/// Opens the database in `dir`.
pub(super) fn open_db(dir: &DataDir, sync: SyncLevel) -> Result<sled::Db> {
    dir.unshare_files().map_err(KvsError::io(format_args!(
        "copy the files in {:?} that are hard links",
        dir.path()
    )))?;
    let flush_every_ms = match sync {
        // At `Always` the engine flushes for every write.
        SyncLevel::Always | SyncLevel::Never => None,
        SyncLevel::EverySec => Some(1000),
    };
    // sled opens files by their paths, even long after it was opened.
    let path = dir.path_of_descriptor();
    let config = sled::Config::new()
        .path(&path)
        .flush_every_ms(flush_every_ms);
    // If the system has no thread for the flush after all, sled panics.
    catch(|| {
        let opened = config.open();
        opened.map_err(|error| cannot_open(error, &path, dir.path()))
    })
}

/// Makes sled start the threads for its files. It starts them with their first job and never again:
/// if none could start, that job and all later ones would never complete.
pub(super) fn start_threads(db: &sled::Db) {
    let mut context = Context::from_waker(Waker::noop());
    // The job begins with the first poll, and its end does not matter.
    let _ = pin!(db.flush_async()).poll(&mut context);
}

/// Converts an error of sled, which was told to open `path`, to one that names `dir` instead.
/// `path` means nothing to the user: it may lead through a descriptor.
pub(super) fn cannot_open(error: sled::Error, path: &Path, dir: &Path) -> KvsError {
    let rename = |text: &str| text.replace(&*path.to_string_lossy(), &dir.to_string_lossy());
    KvsError::from(match error {
        sled::Error::Io(error) => {
            let text = error.to_string();
            // sled has a lock of its own. Its error has no kind for that, so this checks the text.
            if text.contains("could not acquire lock") && text.contains("WouldBlock") {
                return KvsError::Locked { dir: dir.into() };
            }
            let renamed = rename(&text);
            if renamed == text {
                // A new error would not have the code of the system.
                sled::Error::Io(error)
            } else {
                sled::Error::Io(io::Error::new(error.kind(), renamed))
            }
        }
        sled::Error::Unsupported(text) => sled::Error::Unsupported(rename(&text)),
        sled::Error::ReportableBug(text) => sled::Error::ReportableBug(rename(&text)),
        other => other,
    })
}

/// The claim on sled's directory. It ends when sled has let go of the directory too: sled's threads
/// may hold the lock on its file for a moment after the database was dropped.
#[derive(Debug)]
pub(super) struct SledDir(pub(super) DataDir);

impl SledDir {
    /// Opens the file with sled's log, which sled also locks.
    pub(super) fn open_log(&self) -> io::Result<File> {
        self.0.open_file("db")
    }
}

impl Drop for SledDir {
    fn drop(&mut self) {
        let wait = || -> io::Result<()> {
            let file = self.open_log()?;
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
