//! The watermark: a file that says how much of the log is known to be on the disk.
//!
//! After a crash it tells damage from writes that never reached the disk. Before the watermark,
//! every record must be there. Behind it, every record must be there as well if only the process
//! died. If the machine stopped, pages may be missing, and not only at the end, because the system
//! writes them in any order.
//!
//! A watermark that is lost, torn, or of another history of the log does not count. An old
//! watermark is still correct: it only covers less.

use std::io::Cursor;

use bytes::{Buf, BufMut};

use super::dir::LogDir;
use super::header;
use super::names::{self, Generation, MAX_GENERATION};
use super::record::{Digest, Salt};
use super::segment::Segment;

const MAGIC: &[u8; 8] = b"kvs-syn\n";
const VERSION: u32 = 2;
const BOOT_LEN: usize = 36;
const LEN: usize = 72;

/// The id of a boot of the machine, or zeros if the system has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Boot([u8; BOOT_LEN]);

impl Boot {
    const UNKNOWN: Boot = Boot([0; BOOT_LEN]);

    /// Returns the id of the current boot.
    pub(crate) fn current(dir: LogDir<'_>) -> Boot {
        let mut boot = Boot::UNKNOWN;
        // A longer id is cut off, and zeros fill a shorter one up.
        for (to, from) in boot.0.iter_mut().zip(dir.boot().bytes()) {
            *to = from;
        }
        boot
    }
}

/// The part of the log that is on the disk: all segments before `generation`, and `len` bytes of
/// that one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Watermark {
    pub(crate) generation: Generation,
    pub(crate) len: u64,
}

impl Watermark {
    /// Returns the bytes of the file. `digest` is that of the segment's records up to the
    /// watermark. The salt is a second copy, in case the header of the segment is damaged.
    pub(crate) fn encode(self, boot: Boot, salt: Salt, digest: Digest) -> Vec<u8> {
        header::encode(MAGIC, VERSION, |bytes| {
            bytes.put_u32_le(self.generation);
            bytes.put_u64_le(self.len);
            bytes.put_slice(&boot.0);
            bytes.put_u32_le(salt.0);
            bytes.put_u32_le(digest.0);
        })
    }
}

/// The watermark that the previous process left.
#[derive(Debug, Clone, Default)]
pub(crate) struct LastRun {
    pub(crate) watermark: Watermark,
    /// The salt of the log, if there was a watermark.
    pub(crate) salt: Option<Salt>,
    /// The digest of the records up to the watermark, until it was compared with the log.
    digest: Option<Digest>,
    /// Whether the machine has not been started again since.
    pub(crate) same_boot: bool,
}

impl LastRun {
    /// Reads the file. Returns the default if there is none, or none that makes sense.
    pub(crate) fn of(dir: LogDir<'_>) -> LastRun {
        LastRun::read(dir).unwrap_or_default()
    }

    fn read(dir: LogDir<'_>) -> Option<LastRun> {
        let bytes = dir.open(names::WATERMARK).ok()?.read(0, LEN).ok()?;
        let mut fields = Cursor::new(&bytes[header::FIELDS..]);
        let watermark = Watermark {
            generation: fields.get_u32_le(),
            len: fields.get_u64_le(),
        };
        let mut boot = Boot::UNKNOWN;
        fields.copy_to_slice(&mut boot.0);
        let (salt, digest) = (Salt(fields.get_u32_le()), Digest(fields.get_u32_le()));
        // The comparison checks magic, version and checksum, too. The limit keeps a forged
        // generation from overflowing later.
        let is_sound =
            bytes == watermark.encode(boot, salt, digest) && watermark.generation < MAX_GENERATION;
        is_sound.then(|| LastRun {
            watermark,
            salt: Some(salt),
            digest: Some(digest),
            // Two unknown boots need not be the same one.
            same_boot: boot == Boot::current(dir) && boot != Boot::UNKNOWN,
        })
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
        // The digest is compared once, at the first offset that is not before the watermark. If
        // that offset is behind it, a record extends across the watermark, which belongs to another
        // log then.
        if self.watermark.generation == segment.generation
            && self.watermark.len <= offset
            && let Some(expected) = self.digest.take()
            && (self.watermark.len, expected) != (offset, digest)
        {
            *self = LastRun::default();
        }
    }

    /// Returns the number of bytes of `segment`, the newest, that were known to be on the disk.
    pub(crate) fn synced(&self, segment: &Segment) -> u64 {
        if self.watermark.generation == segment.generation {
            self.watermark.len
        } else {
            // A segment is published after its header was synced.
            segment.start
        }
    }

    /// Returns whether a crash explains that `segment`, the newest, has no sound record at
    /// `offset`, although there are some behind.
    pub(crate) fn may_lack_pages(&self, segment: &Segment, offset: u64) -> bool {
        !self.same_boot && offset >= self.synced(segment)
    }
}
