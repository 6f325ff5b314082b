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

use std::io::{self, Cursor};
use std::sync::Arc;

use crate::engine::files::{Directory, File};
use crate::engine::kvs::format::record::{Digest, Salt};
use crate::engine::kvs::format::segment::{self, Generation, HEADER_LEN, MAX_GENERATION, Segment};
use crate::engine::kvs::log::Failure;
use crate::error::Result;
use crate::sync::Mutex;
use bytes::{Buf, BufMut};

pub(crate) const NAME: &str = "kvs-synced";
const MAGIC: &[u8; 8] = b"kvs-syn\n";
const VERSION: u32 = 2;
const BOOT_LEN: usize = 36;
const LEN: usize = 72;

/// How far the log is known to be on the disk: all segments before this one, and so much of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Watermark {
    pub(crate) generation: Generation,
    pub(crate) len: u64,
}

impl Watermark {
    /// The bytes of the file, with what the machine calls its time since the start. The salt is
    /// there in case the header that also contains it is damaged. `digest` is that of the segment's
    /// records up to the watermark.
    fn encode(self, boot: &[u8; BOOT_LEN], salt: Salt, digest: Digest) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.put_u32_le(VERSION);
        bytes.put_u32_le(self.generation);
        bytes.put_u64_le(self.len);
        bytes.put_slice(boot);
        bytes.put_u32_le(salt.0);
        bytes.put_u32_le(digest.0);
        bytes.put_u32_le(crc32fast::hash(&bytes));
        bytes
    }
}

fn boot(dir: &dyn Directory) -> [u8; BOOT_LEN] {
    let mut boot = [0; BOOT_LEN];
    for (to, from) in boot.iter_mut().zip(dir.boot().bytes()) {
        *to = from;
    }
    boot
}

/// The watermark that the previous process left.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastRun {
    pub(crate) watermark: Watermark,
    /// The log's salt, where there was a watermark.
    pub(crate) salt: Option<Salt>,
    /// The digest of the records up to the watermark, until it has been compared with the log.
    digest: Option<Digest>,
    /// Whether the machine has been up ever since.
    same_boot: bool,
}

impl LastRun {
    /// Reads the file. One that makes no sense counts as none.
    pub(crate) fn of(dir: &dyn Directory) -> LastRun {
        let mut bytes = [0; LEN];
        let read = dir.open(NAME);
        if read
            .and_then(|file| file.read_exact_at(&mut bytes, 0))
            .is_err()
        {
            return LastRun::default();
        }
        let mut fields = Cursor::new(&bytes[12..]);
        let watermark = Watermark {
            generation: fields.get_u32_le(),
            len: fields.get_u64_le(),
        };
        let mut last_boot = [0; BOOT_LEN];
        fields.copy_to_slice(&mut last_boot);
        let (salt, digest) = (Salt(fields.get_u32_le()), Digest(fields.get_u32_le()));
        if bytes[..] != watermark.encode(&last_boot, salt, digest)
            || watermark.generation >= MAX_GENERATION
        {
            return LastRun::default();
        }
        LastRun {
            watermark,
            salt: Some(salt),
            digest: Some(digest),
            same_boot: last_boot == boot(dir) && last_boot != [0; BOOT_LEN],
        }
    }

    /// Discards the watermark unless the store has this salt.
    pub(crate) fn check_salt(&mut self, salt: Salt) {
        if self.salt != Some(salt) {
            *self = LastRun::default();
        }
    }

    /// Discards the watermark if it belongs to another history of the log. `digest` is that of the
    /// records of `segment` up to `offset`. The caller calls this for each record, in order.
    pub(crate) fn check_digest(&mut self, segment: &Segment, offset: u64, digest: Digest) {
        if self.watermark.generation == segment.generation
            && self.watermark.len <= offset
            && let Some(expected) = self.digest.take()
            && (self.watermark.len, expected) != (offset, digest)
        {
            *self = LastRun::default();
        }
    }

    /// Returns how many bytes of `segment`, the newest, were known to be on the disk.
    pub(crate) fn synced(&self, segment: &Segment) -> u64 {
        if self.watermark.generation == segment.generation {
            self.watermark.len
        } else {
            segment.start
        }
    }

    /// Returns whether a crash explains that `segment`, the newest, has no sound record at
    /// `offset`, although there are some behind.
    pub(crate) fn may_lack_pages(&self, segment: &Segment, offset: u64) -> bool {
        !self.same_boot && offset >= self.synced(segment)
    }
}

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
            let line = format_args!("continuing without {NAME}: {error}");
            failure.journal.warn(line);
        });
        let unsynced = Unsynced {
            written: Mutex::default(),
            file: Mutex::new(file.ok()),
            boot: boot(dir),
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
                .warn(format_args!("cannot sync {NAME}: {error}"));
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
                .warn(format_args!("continuing without {NAME}: {error}"));
            *file = None;
        }
    }
}

/// Opens the file of the watermark for writing, or creates it.
fn open_own(dir: &dyn Directory) -> io::Result<Arc<dyn File>> {
    match dir.open(NAME) {
        Ok(file) if file.links()? <= 1 => return Ok(file),
        // The file is also in a copy of the directory, which must not change.
        Ok(_) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let unfinished = segment::unfinished(NAME);
    let file = dir.create(&unfinished)?;
    dir.rename(&unfinished, NAME)?;
    dir.sync()?;
    Ok(file)
}
