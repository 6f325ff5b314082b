//! What was written and may not be on the disk yet, and the watermark: how far it is.
//!
//! The watermark is a file of its own, `docs/format.md` has its bytes. After a crash it tells damage
//! from what was never on the disk: before the watermark everything has to be there. Behind it,
//! everything has to be there as well if only the process died; if the machine went down, pages may
//! be missing, and not just at the end, since the system writes them in whatever order it likes.
//!
//! It is written after every sync, and synced itself when the store opens and closes, and every
//! second by [`SyncLevel::EverySec`](crate::engine::SyncLevel::EverySec). If it is lost or torn, or
//! if it belongs to another history of the log, it does not count. An old watermark is still
//! correct: it only covers less.

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::engine::files::{Directory, File};
use crate::engine::kvs::format::names::{self, WATERMARK};
use crate::engine::kvs::format::record::Digest;
use crate::engine::kvs::format::segment::{HEADER_LEN, Segment};
use crate::engine::kvs::format::watermark::{self, BOOT_LEN, Watermark};
use crate::engine::kvs::journal::Journal;
use crate::engine::kvs::log::failure::Failure;
use crate::error::{KvsError, Result};
use crate::sync::Mutex;

/// The end of a segment, as it has been written so far.
#[derive(Debug)]
struct End {
    segment: Arc<Segment>,
    len: u64,
    /// The digest of all its records.
    digest: Digest,
}

/// What was written since the last sync. The writer notes it here, and whoever has to sync it
/// takes it: the writer itself, or the thread behind
/// [`SyncLevel::EverySec`](crate::engine::SyncLevel::EverySec).
#[derive(Debug)]
pub(crate) struct Unsynced {
    /// The end of the active segment, if some of it may not be on the disk.
    written: Mutex<Option<End>>,
    /// Held for as long as a sync takes: whoever finds nothing to sync may rely on it being done.
    /// `None` where there is no such file and no room for one. Without it the log is as good as
    /// before, only damage is harder to tell from a crash.
    file: Mutex<Option<Arc<dyn File>>>,
    boot: [u8; BOOT_LEN],
    failure: Failure,
}

impl Unsynced {
    /// Begins with `segment` as the active one, of which nothing behind `synced` is known to be on
    /// the disk, and sees to it that all its `len` bytes are.
    pub(crate) fn new(
        dir: &dyn Directory,
        segment: &Arc<Segment>,
        synced: u64,
        len: u64,
        digest: Digest,
        failure: Failure,
    ) -> Result<Unsynced> {
        let file = open_own(dir).inspect_err(|error| {
            let line = format_args!("continuing without {WATERMARK}: {error}");
            failure.journal.warn(line);
        });
        let unsynced = Unsynced {
            written: Mutex::default(),
            file: Mutex::new(file.ok()),
            boot: watermark::boot(dir),
            failure,
        };
        if synced < len {
            segment.rewrite(synced, len)?;
        }
        unsynced.note(segment, len, digest);
        unsynced.sync_with_watermark()?;
        Ok(unsynced)
    }

    /// Notes that `segment` is the active one and `len` bytes long, and that its records have this
    /// digest.
    pub(crate) fn note(&self, segment: &Arc<Segment>, len: u64, digest: Digest) {
        let segment = Arc::clone(segment);
        *self.written.lock() = Some(End {
            segment,
            len,
            digest,
        });
    }

    /// Notes that `segment` is a new active one, and that all before it is on the disk.
    pub(crate) fn note_new(&self, segment: &Segment) {
        let (mut file, digest) = (self.file.lock(), Digest::default());
        self.write_watermark(&mut file, segment, HEADER_LEN, digest);
    }

    /// Whether somebody is syncing. The system may keep a write waiting for that.
    pub(crate) fn is_syncing(&self) -> bool {
        self.file.try_lock().is_none()
    }

    /// Waits until everything noted so far is on the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        let mut file = self.file.lock();
        self.failure.check()?;
        let written = self.written.lock().take();
        if let Some(End {
            segment,
            len,
            digest,
        }) = written
        {
            // After a failed sync nobody can tell what is on the disk, so there is no second try.
            segment
                .sync()
                .inspect_err(|error| self.failure.set(error))?;
            self.write_watermark(&mut file, &segment, len, digest);
        }
        Ok(())
    }

    /// Cuts `segment` off after `len` bytes, for good.
    pub(crate) fn cut(&self, segment: &Segment, len: u64) -> Result<()> {
        // The system tells of a failed write only once: nobody else may sync meanwhile, be told that
        // all is well, and note it.
        let _file = self.file.lock();
        let cut = segment.truncate(len).and_then(|()| segment.sync());
        cut.inspect_err(|error| self.failure.set(error))
    }

    /// Syncs, and makes the watermark durable, too: the next one to come can tell damage in
    /// all of the log.
    pub(crate) fn sync_with_watermark(&self) -> Result<()> {
        self.sync()?;
        if let Some(file) = &*self.file.lock()
            && let Err(error) = file.sync()
        {
            self.failure
                .journal
                .warn(format_args!("cannot sync {WATERMARK}: {error}"));
        }
        Ok(())
    }

    /// What is to be done every second, where something was written in it.
    pub(crate) fn tick(&self) {
        let is_idle = self.written.lock().is_none();
        if !is_idle {
            // A failure is in the log lines, and every write from then on will tell.
            let _ = self.sync_with_watermark();
        }
    }

    fn write_watermark(
        &self,
        file: &mut Option<Arc<dyn File>>,
        segment: &Segment,
        len: u64,
        digest: Digest,
    ) {
        let watermark = Watermark {
            generation: segment.generation,
            len,
        };
        let bytes = watermark.encode(&self.boot, segment.salt, digest);
        if let Some(error) = file
            .as_ref()
            .and_then(|file| file.write_all_at(&bytes, 0).err())
        {
            self.failure
                .journal
                .warn(format_args!("continuing without {WATERMARK}: {error}"));
            *file = None;
        }
    }
}

/// Opens the file of the watermark for writing, or creates it.
fn open_own(dir: &dyn Directory) -> io::Result<Arc<dyn File>> {
    match dir.open(WATERMARK) {
        Ok(file) if file.links()? <= 1 => return Ok(file),
        // The file is also in a copy of the directory, which must not change.
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let unfinished = names::unfinished(WATERMARK);
    let file = dir.create(&unfinished)?;
    dir.rename(&unfinished, WATERMARK)?;
    dir.sync()?;
    Ok(file)
}

/// The thread behind [`SyncLevel::EverySec`]. It ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(unsynced: Arc<Unsynced>, journal: Journal) -> Result<Ticker> {
        let (stop, stopped) = mpsc::channel();
        let tick = move || {
            while stopped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                unsynced.tick();
                journal.write_out();
            }
        };
        let thread = thread::Builder::new()
            .name("kvs-sync".to_owned())
            .spawn(tick)
            .map_err(KvsError::io("start the thread that syncs"))?;
        Ok(Ticker {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        let is_other = |thread: &JoinHandle<()>| thread.thread().id() != thread::current().id();
        // The logger of that very thread may have closed the store.
        if let Some(thread) = self.thread.take().filter(is_other) {
            // It panicked only if the panic hook has said so.
            let _ = thread.join();
        }
    }
}
