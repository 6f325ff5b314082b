//! One file of the log: a header, and records one after the other. `docs/format.md` has its bytes.

use std::cell::RefCell;
use std::io::{self, Cursor};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Buf, BufMut};

use super::names::{self, Generation, MAX_GENERATION};
use super::record::{self, Digest, Location, Record, Salt};
use crate::engine::files::{Directory, File};
use crate::error::{KvsError, Result};

/// Bytes before the first record of a new segment.
pub(crate) const HEADER_LEN: u64 = 48;

/// The same in format 1, whose headers have no digest.
const HEADER_LEN_1: u64 = 44;

/// The longest record that is read at once: checking it takes microseconds.
const MAX_AT_ONCE: usize = 64 * 1024;

thread_local! {
    /// What is read at once. It is kept for the next time, since most records are short, and making
    /// room for one took as long as reading it.
    static AT_ONCE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// What is wrong with a segment that is salted in another way than those before it.
pub(crate) const FOREIGN: &str = "it is of another store";

/// The reason of the damage if a segment is not there.
pub(crate) const MISSING: &str = "the file is missing";

/// The reason of the damage if a segment does not have the digest that a header has for it.
pub(crate) const REPLACED: &str = "its records are not those that the log had here";

const MAGIC: &[u8; 8] = b"kvs-log\n";
const VERSION: u32 = 2;
/// Magic, version and a checksum of both, which every version begins with.
const PREAMBLE_LEN: usize = 16;

/// How the records of a segment came to be in it, and so which of them have to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// One write after the other, none left out, beginning with the one behind `after`.
    Written { after: u64 },
    /// What compaction found alive among all writes up to `upto`. It takes the place of every
    /// segment of a lower generation.
    Compacted { upto: u64 },
}

/// An open segment. Readers share it, and can go on when its file is unlinked.
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) generation: Generation,
    pub(crate) origin: Origin,
    pub(crate) salt: Salt,
    /// Where the first record begins.
    pub(crate) start: u64,
    /// The digest in the header, as the file was found. It is that of the segment before this one
    /// or, in a compacted segment, of its own records. Format 1 has none.
    pub(crate) recorded: Option<Digest>,
    /// Where the file is, or where it will be once it is published. For messages.
    pub(crate) path: PathBuf,
    pub(super) file: Arc<dyn File>,
}

impl Segment {
    /// Makes a new segment under a name that means nothing yet, until it is
    /// [published](Segment::publish).
    pub(crate) fn create(
        dir: &dyn Directory,
        generation: Generation,
        origin: Origin,
        salt: Salt,
    ) -> Result<Segment> {
        if generation >= MAX_GENERATION {
            return Err(KvsError::EngineStopped {
                reason: "no numbers are left for segments".to_owned(),
            });
        }
        let name = names::segment(generation);
        let path = dir.path().join(&name);
        let file = dir
            .create(&names::unfinished(&name))
            .map_err(KvsError::io(format_args!("create {path:?}")))?;
        Ok(Segment {
            generation,
            origin,
            salt,
            start: HEADER_LEN,
            recorded: None,
            path,
            file,
        })
    }

    /// Gives the segment the owner and the mode of the segment `like`. The segment is not published
    /// yet.
    pub(crate) fn copy_access(&self, dir: &dyn Directory, like: Generation) -> Result<()> {
        dir.copy_access(
            &names::segment(like),
            &names::unfinished(&names::segment(self.generation)),
        )
        .map_err(KvsError::io(format_args!(
            "give {:?} its owner and mode",
            self.path
        )))
    }

    /// Writes the header, which completes the segment, `len` bytes long. `digest` is that of the
    /// segment before or, for a compacted segment, of its own records.
    pub(crate) fn complete(&self, len: u64, digest: Digest) -> Result<()> {
        self.write(&self.header(len, digest), 0)
    }

    /// Makes the segment, once it is complete and on the disk, a part of the log, with a single
    /// rename.
    pub(crate) fn publish(&self, dir: &dyn Directory) -> Result<()> {
        names::publish(dir, &names::segment(self.generation))
    }

    /// Opens the segment `generation`, which has to begin as a segment does.
    pub(crate) fn open(dir: &dyn Directory, generation: Generation) -> Result<Segment> {
        let mut segment = Segment::open_unread(dir, generation)?;
        segment.read_header()?;
        Ok(segment)
    }

    /// Opens the segment `generation`, whatever is in it.
    pub(crate) fn open_unread(dir: &dyn Directory, generation: Generation) -> Result<Segment> {
        let name = names::segment(generation);
        let path = dir.path().join(&name);
        let file = dir
            .open(&name)
            .map_err(KvsError::io(format_args!("open {path:?}")))?;
        Ok(Segment {
            generation,
            origin: Origin::Written { after: 0 },
            salt: Salt(0),
            start: HEADER_LEN,
            recorded: None,
            path,
            file,
        })
    }

    /// Reads where the segment comes from. That is known then even where the file is not as long
    /// as it should be, and something of it where the header is damaged.
    pub(crate) fn read_header(&mut self) -> Result<()> {
        const CUT_OFF: &str = "the header is cut off";
        let end = self.len()?;
        if end < PREAMBLE_LEN as u64 {
            return Err(self.damaged(0, CUT_OFF));
        }
        let preamble = self.read(0, PREAMBLE_LEN)?;
        let version = Cursor::new(&preamble[MAGIC.len()..]).get_u32_le();
        if !preamble.starts_with(MAGIC) || !ends_with_checksum(&preamble) {
            return Err(self.damaged(0, "it does not begin as a segment does"));
        }
        self.start = match version {
            1 => HEADER_LEN_1,
            VERSION => HEADER_LEN,
            _ => {
                return Err(KvsError::UnknownVersion {
                    file: self.path.clone(),
                    found: version,
                    supported: VERSION,
                });
            }
        };
        if end < self.start {
            return Err(self.damaged(0, CUT_OFF));
        }
        let rest = self.read(PREAMBLE_LEN as u64, self.start as usize - PREAMBLE_LEN)?;
        let mut fields = Cursor::new(&rest);
        let (generation, salt) = (fields.get_u32_le(), fields.get_u32_le());
        let (sequence, len) = (fields.get_u64_le(), fields.get_u64_le());
        let recorded = (version == VERSION).then(|| Digest(fields.get_u32_le()));
        self.salt = Salt(salt);
        if !ends_with_checksum(&rest) {
            return Err(self.damaged(0, "the checksum of the header does not match"));
        }
        if generation != self.generation {
            return Err(self.damaged(0, "it is another segment than its name says"));
        }
        if sequence > record::MAX_SEQUENCE {
            return Err(self.damaged(0, "the numbers in the header are impossible"));
        }
        self.recorded = recorded;
        self.origin = match len {
            0 => Origin::Written { after: sequence },
            _ => Origin::Compacted { upto: sequence },
        };
        match len {
            0 => Ok(()),
            _ if len > end => Err(self.damaged(end, "the end of the file is missing")),
            _ if len < end => Err(self.damaged(len, "the file goes on after its end")),
            _ => Ok(()),
        }
    }

    /// Replaces the damaged header by a guess: finds out where the records begin. If no record is
    /// sound, uses `salt` as their salt.
    pub(crate) fn guess_header(&mut self, salt: Option<Salt>) -> Result<()> {
        let end = self.len()?;
        if let (None, Some(salt)) = (self.find_readable_record(HEADER_LEN_1, end), salt) {
            self.salt = salt;
        }
        self.start = match self.find_readable_record(HEADER_LEN_1, end) {
            Some(HEADER_LEN_1) => HEADER_LEN_1,
            _ => HEADER_LEN,
        };
        Ok(())
    }

    fn header(&self, len: u64, digest: Digest) -> Vec<u8> {
        let (sequence, len) = match self.origin {
            Origin::Written { after } => (after, 0),
            Origin::Compacted { upto } => (upto, len),
        };
        let mut preamble = MAGIC.to_vec();
        preamble.put_u32_le(VERSION);
        preamble.put_u32_le(crc32fast::hash(&preamble));
        let mut rest = Vec::new();
        rest.put_u32_le(self.generation);
        rest.put_u32_le(self.salt.0);
        rest.put_u64_le(sequence);
        rest.put_u64_le(len);
        rest.put_u32_le(digest.0);
        rest.put_u32_le(crc32fast::hash(&rest));
        [preamble, rest].concat()
    }

    /// The length of the file, in bytes.
    pub(crate) fn len(&self) -> Result<u64> {
        self.file
            .size()
            .map_err(KvsError::io(format_args!("look at {:?}", self.path)))
    }

    /// Cuts the file off, or back to `len` bytes.
    pub(crate) fn truncate(&self, len: u64) -> Result<()> {
        self.file
            .truncate(len)
            .map_err(KvsError::io(format_args!("cut {:?} off", self.path)))
    }

    /// Whether [`write`](Segment::write) takes no waiting for a disk.
    pub(crate) fn can_write_at_once(&self) -> bool {
        self.file.can_write_at_once()
    }

    /// Writes all of `bytes` at `offset`.
    pub(crate) fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(KvsError::io(format_args!("write to {:?}", self.path)))
    }

    /// Waits until everything written so far is on the disk.
    pub(crate) fn sync(&self) -> Result<()> {
        self.file
            .sync()
            .map_err(KvsError::io(format_args!("sync {:?}", self.path)))
    }

    /// The bytes of the record at `offset`, `len` of them. [`decode`](Segment::decode) reads them.
    pub(crate) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(self.read_failed(offset))?;
        Ok(bytes)
    }

    /// The value of `key`, whose record is at `location`.
    pub(crate) fn value(&self, location: Location, key: &str) -> Result<String> {
        let bytes = self.read(location.offset, location.len as usize)?;
        self.value_in(&bytes, location, key)
    }

    /// The same, where it takes no waiting for the disk.
    pub(crate) fn value_at_once(&self, location: Location, key: &str) -> Option<Result<String>> {
        let len = location.len as usize;
        if len > MAX_AT_ONCE {
            return None;
        }
        AT_ONCE.with_borrow_mut(|bytes| {
            if bytes.len() < len {
                bytes.resize(len, 0);
            }
            let bytes = &mut bytes[..len];
            let read = self.file.read_exact_at_once(bytes, location.offset);
            read.ok().map(|()| self.value_in(bytes, location, key))
        })
    }

    fn value_in(&self, bytes: &[u8], location: Location, key: &str) -> Result<String> {
        let record = self.decode(bytes, location.offset)?;
        match record.value {
            Some(value) if record.key == key => Ok(value.to_owned()),
            _ => Err(self.damaged(location.offset, "it is another key's record")),
        }
    }

    /// The record in the bytes that were read at `offset`.
    pub(crate) fn decode<'a>(&self, bytes: &'a [u8], offset: u64) -> Result<Record<'a>> {
        Record::decode(bytes, self.salt).map_err(|reason| self.damaged(offset, reason))
    }

    /// Writes what is between `start` and `end` once more.
    ///
    /// After a sync that failed, the system may hold bytes in memory that it does not mean to write
    /// any more, and a second sync would say that all is well.
    pub(crate) fn rewrite(&self, start: u64, end: u64) -> Result<()> {
        self.copy_to(self, start, end)
    }

    /// Copies the bytes between `start` and `end` to the same place in another segment.
    fn copy_to(&self, other: &Segment, start: u64, end: u64) -> Result<()> {
        const BLOCK: u64 = 1024 * 1024;
        let mut offset = start;
        while offset < end {
            let len = BLOCK.min(end - offset);
            other.write(&self.read(offset, len as usize)?, offset)?;
            offset += len;
        }
        Ok(())
    }

    /// The place of the first sound record that begins between `start` and `end`.
    pub(crate) fn find_record(&self, start: u64, end: u64) -> Result<Option<u64>> {
        self.find_record_and(start, end, Err)
    }

    /// The same, passing over what cannot be read.
    pub(crate) fn find_readable_record(&self, start: u64, end: u64) -> Option<u64> {
        let found = self.find_record_and(start, end, |_| Ok(()));
        found.unwrap_or_default()
    }

    fn find_record_and(
        &self,
        start: u64,
        end: u64,
        unreadable: impl Fn(KvsError) -> Result<()>,
    ) -> Result<Option<u64>> {
        const SECTOR: u64 = 4096;
        let mut block = 1024 * 1024;
        let mut offset = start;
        while offset + record::HEADER_LEN as u64 <= end {
            let len = (block + record::HEADER_LEN as u64 - 1).min(end - offset);
            let bytes = match self.read(offset, len as usize) {
                Ok(bytes) => bytes,
                Err(error) => {
                    unreadable(error)?;
                    // Sector by sector from here on, to lose no more than those that are bad.
                    if block == SECTOR {
                        offset = (offset / SECTOR + 1) * SECTOR;
                    }
                    block = SECTOR;
                    continue;
                }
            };
            for at in 0..=bytes.len() - record::HEADER_LEN {
                let place = offset + at as u64;
                let header = bytes[at..].first_chunk();
                let header = header.map(|bytes| record::Header::decode(bytes, self.salt));
                if let Some(Ok(header)) = header
                    && place + header.record_len() as u64 <= end
                    && let Ok(bytes) = self.read(place, header.record_len())
                    && Record::decode(&bytes, self.salt).is_ok()
                {
                    return Ok(Some(place));
                }
            }
            offset += (bytes.len() - record::HEADER_LEN + 1) as u64;
        }
        Ok(None)
    }

    /// Returns whether the file is in another directory as well.
    pub(crate) fn is_shared(&self) -> Result<bool> {
        self.file
            .links()
            .map(|links| links > 1)
            .map_err(KvsError::io(format_args!("look at {:?}", self.path)))
    }

    /// Replaces the file by a copy of its first `len` bytes, and returns the segment in the copy.
    pub(crate) fn detach(&self, dir: &dyn Directory, len: u64) -> Result<Segment> {
        let name = names::segment(self.generation);
        let file = dir
            .create(&names::unfinished(&name))
            .map_err(KvsError::io(format_args!("copy {:?}", self.path)))?;
        let copy = Segment {
            generation: self.generation,
            origin: self.origin,
            salt: self.salt,
            start: self.start,
            recorded: self.recorded,
            path: self.path.clone(),
            file,
        };
        self.copy_to(&copy, 0, len)?;
        copy.sync()?;
        copy.publish(dir)?;
        names::sync_names(dir)?;
        Ok(copy)
    }

    /// Copies what is between `start` and `end` to a file beside the log, and says where.
    pub(crate) fn keep_aside(
        &self,
        dir: &dyn Directory,
        start: u64,
        end: u64,
        what: &str,
    ) -> Result<PathBuf> {
        let taken = dir.list();
        let taken = taken.map_err(KvsError::io(format_args!("list {:?}", dir.path())))?;
        let mut n = 1;
        let name = loop {
            let name = format!("{}.{what}{n}", names::segment(self.generation));
            if !taken.contains(&name) {
                break name;
            }
            n += 1;
        };
        let path = dir.path().join(&name);
        let copy = || {
            let copy = dir.create(&names::unfinished(&name))?;
            // While the file is empty, since until then other users may be able to read it.
            dir.copy_access(&names::segment(self.generation), &names::unfinished(&name))?;
            let mut offset = start;
            while offset < end {
                // What cannot be read is left out, as zeros.
                let len = 4096.min(end - offset) as usize;
                if let Ok(bytes) = self.read(offset, len) {
                    copy.write_all_at(&bytes, offset - start)?;
                }
                offset += len as u64;
            }
            copy.sync()
        };
        copy().map_err(KvsError::io(format_args!("write {path:?}")))?;
        names::publish(dir, &name)?;
        names::sync_names(dir)?;
        Ok(path)
    }

    pub(crate) fn damaged(&self, offset: u64, reason: &str) -> KvsError {
        KvsError::Damaged {
            file: self.path.clone(),
            offset,
            reason: reason.to_owned(),
        }
    }

    pub(super) fn read_failed(&self, offset: u64) -> impl FnOnce(io::Error) -> KvsError {
        move |error| KvsError::io(format_args!("read {:?} at byte {offset}", self.path))(error)
    }
}

/// A segment as it was found.
#[derive(Debug)]
pub(crate) struct Opened {
    pub(crate) segment: Arc<Segment>,
    pub(crate) len: u64,
    /// The digest that the records must have. It is in the header of the next segment, or in its
    /// own header if the segment is a compacted one. The newest segment has none, nor has a segment
    /// whose digest would be in a header of format 1.
    pub(crate) proof: Option<Digest>,
}

fn ends_with_checksum(bytes: &[u8]) -> bool {
    bytes
        .split_last_chunk()
        .is_some_and(|(bytes, checksum)| crc32fast::hash(bytes).to_le_bytes() == *checksum)
}
