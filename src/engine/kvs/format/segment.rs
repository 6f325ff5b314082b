//! One file of the log: a header, and records one after the other.

use std::cell::RefCell;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;

use bytes::{Buf, BufMut};

use super::dir::LogDir;
use super::file::LogFile;
use super::header;
use super::names::{self, Generation, MAX_GENERATION};
use super::record::{self, Digest, Location, Record, Salt};
use crate::error::{KvsError, Result};

/// Bytes before the first record of a new segment.
pub(crate) const HEADER_LEN: u64 = 56;

/// Bytes before the first record of a segment of each format. The header of format 1 has no digest,
/// and that of format 2 does not say where a compacted segment begins.
pub(super) const HEADER_LENS: [u64; 3] = [44, 48, HEADER_LEN];

/// The longest record that is read on the thread that asks for it: checking it takes microseconds.
const MAX_AT_ONCE: usize = 64 * 1024;

thread_local! {
    /// The buffer for records of up to [`MAX_AT_ONCE`] bytes. Allocating one for each read took as
    /// long as the read.
    static AT_ONCE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

const MAGIC: &[u8; 8] = b"kvs-log\n";
const VERSION: u32 = 3;
/// Magic, version and a checksum of both. Every version begins with these.
const PREAMBLE_LEN: usize = 16;

/// The reason of the damage if the file ends within its header.
const CUT_OFF: &str = "the header is cut off";

/// The way in which the records came into a segment. It decides which sequence numbers must be
/// there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Every write after the write `after`, none left out.
    Written { after: u64 },
    /// The writes after `after` and up to `upto` that compaction found alive.
    Compacted { after: u64, upto: u64 },
}

impl Origin {
    /// Returns whether the record `sequence` may follow the record `last`.
    pub(crate) fn may_follow(self, last: u64, sequence: u64) -> bool {
        match self {
            Origin::Written { .. } => sequence == last + 1,
            Origin::Compacted { upto, .. } => (last + 1..=upto).contains(&sequence),
        }
    }

    /// Returns the number of the write before the first record.
    pub(crate) fn before_first(self) -> u64 {
        let (Origin::Written { after } | Origin::Compacted { after, .. }) = self;
        after
    }

    pub(crate) fn is_compacted(self) -> bool {
        matches!(self, Origin::Compacted { .. })
    }

    /// Returns whether the segment replaces every segment of a lower generation.
    pub(crate) fn replaces_all(self) -> bool {
        matches!(self, Origin::Compacted { after: 0, .. })
    }
}

/// An open segment. Readers share it, and can still read it after its file was removed.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) generation: Generation,
    pub(crate) origin: Origin,
    pub(crate) salt: Salt,
    /// The offset of the first record.
    pub(crate) start: u64,
    /// The digest in the header when the file was opened. It is that of the segment before this one
    /// or, in a compacted segment, of its own records. Format 1 has none.
    pub(crate) recorded: Option<Digest>,
    file: LogFile,
}

/// A segment as it was found on the disk.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) segment: Arc<Segment>,
    pub(crate) len: u64,
    /// The digest that the records must have. It is in the header of the next segment, or in its
    /// own header if the segment is a compacted one. The newest segment has none, nor has a segment
    /// whose digest would be in a header of format 1.
    pub(crate) proof: Option<Digest>,
}

impl Segment {
    /// Creates a segment, unfinished until it is [published](Segment::publish).
    pub(crate) fn create(
        dir: LogDir<'_>,
        generation: Generation,
        origin: Origin,
        salt: Salt,
    ) -> Result<Segment> {
        if generation >= MAX_GENERATION {
            return Err(KvsError::EngineStopped {
                reason: "no numbers are left for segments".to_owned(),
            });
        }
        Ok(Segment {
            generation,
            origin,
            salt,
            start: HEADER_LEN,
            recorded: None,
            file: dir.create(&names::segment(generation))?,
        })
    }

    /// Writes the header, which completes the segment, `len` bytes long. `digest` is that of the
    /// segment before or, for a compacted segment, of its own records.
    pub(crate) fn complete(&self, len: u64, digest: Digest) -> Result<()> {
        self.write(&self.header(len, digest), 0)
    }

    /// Makes the segment a part of the log, with a single rename. The segment is complete and
    /// synced.
    pub(crate) fn publish(&self, dir: LogDir<'_>) -> Result<()> {
        dir.publish(&names::segment(self.generation))
    }

    /// Opens the segment `generation`, reads its header, and checks the length of the file.
    pub(crate) fn open(dir: LogDir<'_>, generation: Generation) -> Result<Segment> {
        let mut segment = Segment::open_unread(dir, generation)?;
        let len = segment.read_header()?;
        segment.check_len(len)?;
        Ok(segment)
    }

    /// Opens the segment `generation` without reading its header, so the fields that come from the
    /// header have no meaning yet.
    pub(crate) fn open_unread(dir: LogDir<'_>, generation: Generation) -> Result<Segment> {
        Ok(Segment {
            generation,
            origin: Origin::Written { after: 0 },
            salt: Salt(0),
            start: HEADER_LEN,
            recorded: None,
            file: dir.open(&names::segment(generation))?,
        })
    }

    /// Reads the header into the fields. Returns the length that the file must have, if the header
    /// says it. [`check_len`](Segment::check_len) checks that.
    ///
    /// # Errors
    ///
    /// [`KvsError::Damaged`] if the header is damaged. Some of the fields may be set then.
    pub(crate) fn read_header(&mut self) -> Result<Option<u64>> {
        let end = self.len()?;
        // The preamble comes first, because the rest of the header depends on the version.
        let version = self.read_preamble(end)?;
        self.start = HEADER_LENS[version as usize - 1];
        if end < self.start {
            return Err(self.damaged(0, CUT_OFF));
        }
        let rest = self.read(PREAMBLE_LEN as u64, self.start as usize - PREAMBLE_LEN)?;
        let mut fields = Cursor::new(&rest);
        let (generation, salt) = (fields.get_u32_le(), fields.get_u32_le());
        let (sequence, len) = (fields.get_u64_le(), fields.get_u64_le());
        let recorded = (version >= 2).then(|| Digest(fields.get_u32_le()));
        // In earlier formats, a compacted segment replaces everything before it.
        let after = if version >= 3 { fields.get_u64_le() } else { 0 };
        // The salt of a damaged header may still be right. A search for records tries it first.
        self.salt = Salt(salt);
        if !header::ends_with_checksum(&rest) {
            return Err(self.damaged(0, "the checksum of the header does not match"));
        }
        if generation != self.generation {
            return Err(self.damaged(0, "its name and its header have different numbers"));
        }
        if sequence > record::MAX_SEQUENCE || after > sequence {
            return Err(self.damaged(0, "the numbers in the header are impossible"));
        }
        self.recorded = recorded;
        // Only a compacted segment is complete, and has a length, when its header is written.
        if len == 0 {
            self.origin = Origin::Written { after: sequence };
            return Ok(None);
        }
        self.origin = Origin::Compacted {
            after,
            upto: sequence,
        };
        Ok(Some(len))
    }

    /// Checks that the file has the length `expected`, if the header says one.
    pub(crate) fn check_len(&self, expected: Option<u64>) -> Result<()> {
        let Some(len) = expected else {
            return Ok(());
        };
        let end = self.len()?;
        if len > end {
            return Err(self.damaged(end, "the end of the file is missing"));
        }
        if len < end {
            return Err(self.damaged(len, "there are bytes after the end of the segment"));
        }
        Ok(())
    }

    /// Returns the version of a segment of `end` bytes.
    fn read_preamble(&self, end: u64) -> Result<u32> {
        if end < PREAMBLE_LEN as u64 {
            return Err(self.damaged(0, CUT_OFF));
        }
        let preamble = self.read(0, PREAMBLE_LEN)?;
        if !preamble.starts_with(MAGIC) || !header::ends_with_checksum(&preamble) {
            return Err(self.damaged(0, "it does not begin as a segment does"));
        }
        match Cursor::new(&preamble[MAGIC.len()..]).get_u32_le() {
            version @ 1..=VERSION => Ok(version),
            found => Err(KvsError::UnknownVersion {
                file: self.path().to_owned(),
                found,
                supported: VERSION,
            }),
        }
    }

    fn header(&self, len: u64, digest: Digest) -> Vec<u8> {
        let (sequence, len, after) = match self.origin {
            Origin::Written { after } => (after, 0, 0),
            Origin::Compacted { after, upto } => (upto, len, after),
        };
        // The preamble has a checksum of its own, because it is the same in all versions.
        let preamble = header::encode(MAGIC, VERSION, |_| {});
        let mut rest = Vec::new();
        rest.put_u32_le(self.generation);
        rest.put_u32_le(self.salt.0);
        rest.put_u64_le(sequence);
        rest.put_u64_le(len);
        rest.put_u32_le(digest.0);
        rest.put_u64_le(after);
        rest.put_u32_le(crc32fast::hash(&rest));
        [preamble, rest].concat()
    }

    /// Returns whether this is a compacted segment that replaces `other`: all writes of `other` are
    /// among those that it stands for.
    pub(crate) fn replaces(&self, other: &Segment) -> bool {
        self.origin.is_compacted()
            && other.generation < self.generation
            && other.origin.before_first() >= self.origin.before_first()
    }

    /// Returns the path of the file, for messages. An unfinished segment returns the path that it
    /// will have.
    pub(crate) fn path(&self) -> &Path {
        self.file.path()
    }

    pub(super) fn file(&self) -> &LogFile {
        &self.file
    }

    pub(crate) fn into_file(self) -> LogFile {
        self.file
    }

    /// Returns the length of the file, in bytes.
    pub(crate) fn len(&self) -> Result<u64> {
        self.file.len()
    }

    /// Cuts the file off after `len` bytes.
    pub(crate) fn truncate(&self, len: u64) -> Result<()> {
        self.file.truncate(len)
    }

    /// Returns whether [`write`](Segment::write) need not wait for the disk.
    pub(crate) fn can_write_at_once(&self) -> bool {
        self.file.can_write_at_once()
    }

    /// Writes all of `bytes` at `offset`.
    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file.write(bytes, offset)
    }

    /// Waits until everything that was written so far is on the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file.sync()
    }

    /// Returns the `len` bytes at `offset`. [`decode`](Segment::decode) makes a record of them.
    pub(crate) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        self.file.read(offset, len)
    }

    /// Returns the value of `key`, whose record is at `location`.
    pub(crate) fn value(&self, location: Location, key: &str) -> Result<String> {
        let bytes = self.read(location.offset, location.len as usize)?;
        self.value_in(&bytes, location, key)
    }

    /// Returns the value of `key`, or `None` if the system would have to wait for the disk.
    pub(crate) fn value_at_once(&self, location: Location, key: &str) -> Option<Result<String>> {
        let len = location.len as usize;
        if len > MAX_AT_ONCE {
            return None;
        }
        AT_ONCE.with_borrow_mut(|bytes| {
            // The buffer never shrinks, since filling it with zeros again would take time.
            if bytes.len() < len {
                bytes.resize(len, 0);
            }
            let bytes = &mut bytes[..len];
            self.file.read_at_once(bytes, location.offset)?;
            Some(self.value_in(bytes, location, key))
        })
    }

    fn value_in(&self, bytes: &[u8], location: Location, key: &str) -> Result<String> {
        let record = self.decode(bytes, location.offset)?;
        // Forged hints or a forged checkpoint may point to any sound record.
        match record.value {
            Some(value) if record.key == key => Ok(value.to_owned()),
            _ => Err(self.damaged(location.offset, "the record has another key, or no value")),
        }
    }

    /// Returns the record in the bytes that were read at `offset`.
    pub(crate) fn decode<'a>(&self, bytes: &'a [u8], offset: u64) -> Result<Record<'a>> {
        Record::decode(bytes, self.salt).map_err(|reason| self.damaged(offset, reason))
    }

    /// Writes the bytes between `start` and `end` again.
    ///
    /// After a failed sync, the system may hold bytes in memory that it will never write, and the
    /// next sync would succeed without them.
    pub(crate) fn rewrite(&self, start: u64, end: u64) -> Result<()> {
        self.copy_to(&self.file, start, end)
    }

    /// Replaces the file by a copy of its first `len` bytes if the file has another name as well.
    /// Returns the segment in the copy.
    ///
    /// A copy of the directory that is made of hard links has the same file, and must not change.
    pub(crate) fn detach(&self, dir: LogDir<'_>, len: u64) -> Result<Option<Segment>> {
        if !self.file.is_shared()? {
            return Ok(None);
        }
        let copy = Segment {
            file: dir.create(&names::segment(self.generation))?,
            ..*self
        };
        self.copy_to(&copy.file, 0, len)?;
        // Publishing replaces the file, so the copy must be on the disk before that.
        copy.sync()?;
        copy.publish(dir)?;
        dir.sync()?;
        Ok(Some(copy))
    }

    /// Copies the bytes between `start` and `end` to the same place in another file.
    fn copy_to(&self, other: &LogFile, start: u64, end: u64) -> Result<()> {
        const BLOCK: u64 = 1024 * 1024;
        let mut offset = start;
        while offset < end {
            let len = BLOCK.min(end - offset);
            other.write(&self.read(offset, len as usize)?, offset)?;
            offset += len;
        }
        Ok(())
    }

    /// Returns the offset behind the last byte between `start` and `end` that is not zero, or
    /// `start` if all of them are.
    pub(crate) fn end_of_bytes(&self, start: u64, mut end: u64) -> Result<u64> {
        const BLOCK: u64 = 64 * 1024;
        while start < end {
            let offset = end.saturating_sub(BLOCK).max(start);
            let block = self.read(offset, (end - offset) as usize)?;
            if let Some(n) = block.iter().rposition(|byte| *byte != 0) {
                return Ok(offset + n as u64 + 1);
            }
            end = offset;
        }
        Ok(start)
    }

    /// Returns the error for damage at `offset`.
    pub(crate) fn damaged(&self, offset: u64, reason: impl Into<String>) -> KvsError {
        KvsError::Damaged {
            file: self.path().to_owned(),
            offset,
            reason: reason.into(),
        }
    }
}
