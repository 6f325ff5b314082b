//! The watermark.

use std::io::Cursor;

use bytes::{Buf, BufMut};

use super::names::{self, Generation, MAX_GENERATION};
use super::record::{Digest, Salt};
use super::segment::Segment;
use crate::engine::files::Directory;

const MAGIC: &[u8; 8] = b"kvs-syn\n";
const VERSION: u32 = 2;
pub(crate) const BOOT_LEN: usize = 36;
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
    pub(crate) fn encode(self, boot: &[u8; BOOT_LEN], salt: Salt, digest: Digest) -> Vec<u8> {
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

pub(crate) fn boot(dir: &dyn Directory) -> [u8; BOOT_LEN] {
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
        let read = dir.open(names::WATERMARK);
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
