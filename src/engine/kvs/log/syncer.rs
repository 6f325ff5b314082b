//! Syncs the log: how much of it is written, and how much of that is on the disk.
//!
//! The watermark is written after every sync. It is synced itself when the store opens and closes,
//! and at least every second at [`SyncLevel::EverySec`](crate::engine::SyncLevel::EverySec).

use std::io;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::end::End;
use super::failure::Failure;
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::file::LogFile;
use crate::engine::kvs::format::names::WATERMARK;
use crate::engine::kvs::format::segment::Segment;
use crate::engine::kvs::format::watermark::{Boot, Watermark};
use crate::error::{KvsError, Result};
use crate::sync::Mutex;

/// The number of written bytes after which the [`Ticker`] syncs before its second is over, and
/// after which a compaction syncs its output before it is complete. When a segment is full, the
/// writers wait for its last sync, so there must be little left to sync.
pub(super) const MANY: u64 = 8 * 1024 * 1024;

/// Syncs the active segment, for the writer and for the thread behind
/// [`SyncLevel::EverySec`](crate::engine::SyncLevel::EverySec).
///
/// There are two locks. A sync takes `watermark` first, then `dirty` for a moment. The writer takes
/// `dirty` alone, so that it can note a write while a sync is running.
#[derive(Debug)]
pub(crate) struct Syncer {
    dirty: Mutex<Dirty>,
    /// The file of the watermark, locked for as long as a sync takes. So a caller that finds
    /// nothing to sync knows that the last sync has ended.
    ///
    /// `None` if the file could not be written. Without a watermark no data is lost, but a check
    /// can tell less damage from the traces of a crash.
    watermark: Mutex<Option<LogFile>>,
    boot: Boot,
    failure: Failure,
}

/// The part of the active segment that may not be on the disk.
#[derive(Debug, Default)]
struct Dirty {
    /// Its end, if there is such a part.
    end: Option<End>,
    bytes: u64,
    /// Asks the [`Ticker`] to sync now, if there is one.
    ask: Option<SyncSender<()>>,
}

impl Syncer {
    /// Syncs the active segment, of which only the first `synced` bytes are known to be on the
    /// disk, up to `end`. Readers see its records as soon as the store is open, so these must not
    /// be lost.
    pub(crate) fn new(dir: LogDir<'_>, end: End, synced: u64, failure: Failure) -> Result<Syncer> {
        let watermark = open_watermark(dir).inspect_err(|error| {
            let line = format_args!("continuing without {WATERMARK}: {error}");
            failure.journal.warn(line);
        });
        if synced < end.len {
            end.segment.rewrite(synced, end.len)?;
        }
        let syncer = Syncer {
            dirty: Mutex::new(Dirty {
                end: Some(end),
                ..Dirty::default()
            }),
            watermark: Mutex::new(watermark.ok()),
            boot: Boot::current(dir),
            failure,
        };
        syncer.sync_with_watermark()?;
        Ok(syncer)
    }

    /// Notes that the writer has written `bytes` bytes more, up to `end`.
    pub(crate) fn note(&self, end: End, bytes: u64) {
        let mut dirty = self.dirty.lock();
        dirty.end = Some(end);
        dirty.bytes += bytes;
        if dirty.bytes >= MANY
            && let Some(ask) = &dirty.ask
        {
            // If the channel is full, the thread is asked already.
            let _ = ask.try_send(());
        }
    }

    /// Notes that `end` is in a new active segment, and that everything before it is on the disk.
    pub(crate) fn note_new(&self, end: &End) {
        self.write_watermark(&mut self.watermark.lock(), end);
    }

    /// Returns whether a sync is running. The system may keep a write waiting until it ends.
    pub(crate) fn is_syncing(&self) -> bool {
        self.watermark.try_lock().is_none()
    }

    /// Waits until everything that was noted so far is on the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        let mut watermark = self.watermark.lock();
        self.failure.check()?;
        let mut dirty = self.dirty.lock();
        dirty.bytes = 0;
        let end = dirty.end.take();
        drop(dirty);
        if let Some(end) = end {
            let synced = end.segment.sync();
            synced.inspect_err(|error| self.failure.set(error))?;
            self.write_watermark(&mut watermark, &end);
        }
        Ok(())
    }

    /// Cuts `segment` off after `len` bytes, durably.
    pub(crate) fn cut(&self, segment: &Segment, len: u64) -> Result<()> {
        // The system reports a failed write to one sync only. If another thread synced now, it
        // would take that report, and this sync would succeed.
        let _watermark = self.watermark.lock();
        let cut = segment.truncate(len).and_then(|()| segment.sync());
        cut.inspect_err(|error| self.failure.set(error))
    }

    /// Syncs the log, and then the watermark, so that the next process can tell damage in all of
    /// the log.
    pub(crate) fn sync_with_watermark(&self) -> Result<()> {
        self.sync()?;
        if let Some(watermark) = &*self.watermark.lock()
            && let Err(error) = watermark.sync()
        {
            self.failure.journal.warn(error);
        }
        Ok(())
    }

    /// Syncs if anything was written since the last sync.
    fn tick(&self) {
        let is_dirty = self.dirty.lock().end.is_some();
        if is_dirty {
            // A failure has been logged, and every later write returns it.
            let _ = self.sync_with_watermark();
        }
    }

    fn write_watermark(&self, file: &mut Option<LogFile>, end: &End) {
        let watermark = Watermark {
            generation: end.segment.generation,
            len: end.len,
        };
        let bytes = watermark.encode(self.boot, end.segment.salt, end.digest);
        if let Some(Err(error)) = file.as_ref().map(|file| file.write(&bytes, 0)) {
            let line = format_args!("continuing without {WATERMARK}: {error}");
            self.failure.journal.warn(line);
            *file = None;
        }
    }
}

/// Opens the file of the watermark for writing, or creates it.
fn open_watermark(dir: LogDir<'_>) -> Result<LogFile> {
    match dir.open(WATERMARK) {
        // A copy of the directory that is made of hard links has the same file, and must not
        // change.
        Ok(file) if file.is_shared()? => {}
        Err(KvsError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
        opened => return opened,
    }
    let file = dir.create(WATERMARK)?;
    dir.publish(WATERMARK)?;
    dir.sync()?;
    Ok(file)
}

/// The thread behind [`SyncLevel::EverySec`](crate::engine::SyncLevel::EverySec). It ends when this
/// is dropped.
#[derive(Debug)]
pub(crate) struct Ticker {
    syncer: Arc<Syncer>,
    /// `Some` until the drop.
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    pub(crate) fn start(syncer: Arc<Syncer>) -> Result<Ticker> {
        let (ask, asked) = mpsc::sync_channel(1);
        let ticking = Arc::clone(&syncer);
        let tick = move || {
            let second = Duration::from_secs(1);
            // The sender is gone when this is dropped.
            while asked.recv_timeout(second) != Err(RecvTimeoutError::Disconnected) {
                ticking.tick();
                ticking.failure.journal.write_out();
            }
        };
        let thread = thread::Builder::new()
            .name("kvs-sync".to_owned())
            .spawn(tick)
            .map_err(KvsError::io("start the thread that syncs"))?;
        syncer.dirty.lock().ask = Some(ask);
        Ok(Ticker {
            syncer,
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.syncer.dirty.lock().ask.take());
        let is_other = |thread: &JoinHandle<()>| thread.thread().id() != thread::current().id();
        // The logger that this very thread called may have closed the store.
        if let Some(thread) = self.thread.take().filter(is_other) {
            // If the thread panicked, the panic hook has reported it.
            let _ = thread.join();
        }
    }
}
