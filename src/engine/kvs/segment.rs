//! One file of the log: a header, and records one after the other.
//!
//! ```text
//! offset  bytes  little-endian
//!      0      8  "kvs-log\n"
//!      8      4  version of the format: 1
//!     12      4  generation of the segment, as in the name of the file
//!     16      8  sequence number of the last write before the segment; of a compacted one: of the
//!                last write that it stands for
//!     24      8  0; of a compacted one: the length of the file
//!     32      4  checksum: CRC-32 (ISO-HDLC) of the 32 bytes before it
//!     36         records
//! ```

use std::io::{self, BufReader, Cursor, Read};
use std::path::PathBuf;
use std::sync::Arc;

use bytes::{Buf, BufMut};

use super::hints;
use super::record::{self, Record};
use crate::engine::files::{Directory, File};
use crate::error::{KvsError, Result};

/// The number of a segment. Segments are written in the order of their generations.
pub(super) type Generation = u32;

/// Bytes before the first record.
pub(super) const HEADER_LEN: u64 = 36;

const MAGIC: &[u8; 8] = b"kvs-log\n";
const VERSION: u32 = 1;

/// The extension of a segment's file.
const EXTENSION: &str = "segment";
/// What follows the name of a file that is still being made. Such a file means nothing.
const UNFINISHED: &str = "unfinished";

/// How the records of a segment came to be in it, and so which of them have to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// One write after the other, none left out, beginning with the one behind `after`.
    Written { after: u64 },
    /// What compaction found alive among all writes up to `upto`. It takes the place of every
    /// segment of a lower generation.
    Compacted { upto: u64 },
}

/// An open segment. Readers share it, and can go on when its file is unlinked.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) generation: Generation,
    pub(super) origin: Origin,
    /// Where the file is, or where it will be once it is published. For messages.
    pub(super) path: PathBuf,
    file: Arc<dyn File>,
}

impl Segment {
    /// Makes a new segment under a name that means nothing yet, until it is
    /// [published](Segment::publish).
    pub(super) fn create(
        dir: &dyn Directory,
        generation: Generation,
        origin: Origin,
    ) -> Result<Segment> {
        let name = self::name(generation);
        let path = dir.path().join(&name);
        let file = dir
            .create(&unfinished(&name))
            .map_err(KvsError::io(format_args!("create {path:?}")))?;
        Ok(Segment {
            generation,
            origin,
            path,
            file,
        })
    }

    /// Completes the segment, which is `len` bytes long, with its header, and puts all of it on
    /// the disk.
    pub(super) fn complete(&self, len: u64) -> Result<()> {
        self.write(&header(self.generation, self.origin, len), 0)?;
        self.sync()
    }

    /// Makes the segment, once it is complete, a part of the log, with a single rename.
    pub(super) fn publish(&self, dir: &dyn Directory) -> Result<()> {
        publish(dir, &name(self.generation))
    }

    /// Opens the segment `generation`, which has to begin as a segment does.
    pub(super) fn open(dir: &dyn Directory, generation: Generation) -> Result<Segment> {
        let mut segment = Segment::open_unread(dir, generation)?;
        segment.read_header()?;
        Ok(segment)
    }

    /// Opens the segment `generation`, whatever is in it.
    pub(super) fn open_unread(dir: &dyn Directory, generation: Generation) -> Result<Segment> {
        let name = self::name(generation);
        let path = dir.path().join(&name);
        let file = dir
            .open(&name)
            .map_err(KvsError::io(format_args!("open {path:?}")))?;
        Ok(Segment {
            generation,
            origin: Origin::Written { after: 0 },
            path,
            file,
        })
    }

    /// Reads where the segment comes from.
    pub(super) fn read_header(&mut self) -> Result<()> {
        let end = self.len()?;
        if end < HEADER_LEN {
            return Err(self.damaged(0, "the header is cut off"));
        }
        let header = self.read(0, HEADER_LEN as usize)?;
        let mut fields = Cursor::new(&header[MAGIC.len()..]);
        let (version, named) = (fields.get_u32_le(), fields.get_u32_le());
        let (sequence, len) = (fields.get_u64_le(), fields.get_u64_le());
        if !header.starts_with(MAGIC) || fields.get_u32_le() != crc32fast::hash(&header[..32]) {
            return Err(self.damaged(0, "it does not begin as a segment does"));
        }
        if version != VERSION {
            return Err(KvsError::UnknownVersion {
                file: self.path.clone(),
                found: version,
                supported: VERSION,
            });
        }
        if named != self.generation {
            return Err(self.damaged(0, "it is another segment than its name says"));
        }
        self.origin = match len {
            0 => Origin::Written { after: sequence },
            _ if len > end => return Err(self.damaged(end, "the end of the file is missing")),
            _ if len < end => return Err(self.damaged(len, "the file goes on after its end")),
            _ => Origin::Compacted { upto: sequence },
        };
        Ok(())
    }

    /// The length of the file, in bytes.
    pub(super) fn len(&self) -> Result<u64> {
        self.file
            .size()
            .map_err(KvsError::io(format_args!("look at {:?}", self.path)))
    }

    /// Cuts the file off, or back to `len` bytes.
    pub(super) fn truncate(&self, len: u64) -> Result<()> {
        self.file
            .truncate(len)
            .map_err(KvsError::io(format_args!("cut {:?} off", self.path)))
    }

    /// Writes all of `bytes` at `offset`.
    pub(super) fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(KvsError::io(format_args!("write to {:?}", self.path)))
    }

    /// Waits until everything written so far is on the disk.
    pub(super) fn sync(&self) -> Result<()> {
        self.file
            .sync()
            .map_err(KvsError::io(format_args!("sync {:?}", self.path)))
    }

    /// The bytes of the record at `offset`, `len` of them. [`decode`](Segment::decode) reads them.
    pub(super) fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; len];
        self.file
            .read_exact_at(&mut bytes, offset)
            .map_err(self.read_failed(offset))?;
        Ok(bytes)
    }

    /// The record in the bytes that were read at `offset`.
    pub(super) fn decode<'a>(&self, bytes: &'a [u8], offset: u64) -> Result<Record<'a>> {
        Record::decode(bytes).map_err(|reason| self.damaged(offset, reason))
    }

    /// Whether a sound record begins anywhere between `offset` and `end`, but not at `offset`.
    ///
    /// `sequence` is that of the last record before.
    pub(super) fn any_record_behind(&self, offset: u64, end: u64, sequence: u64) -> Result<bool> {
        let tail = self.read(offset, (end - offset) as usize)?;
        let expected = sequence + 1..=sequence + tail.len() as u64;
        Ok(record::find(&tail, expected).is_some())
    }

    pub(super) fn damaged(&self, offset: u64, reason: &str) -> KvsError {
        KvsError::Damaged {
            file: self.path.clone(),
            offset,
            reason: reason.to_owned(),
        }
    }

    fn read_failed(&self, offset: u64) -> impl FnOnce(io::Error) -> KvsError {
        move |error| KvsError::io(format_args!("read {:?} at byte {offset}", self.path))(error)
    }
}

fn header(generation: Generation, origin: Origin, len: u64) -> Vec<u8> {
    let (sequence, len) = match origin {
        Origin::Written { after } => (after, 0),
        Origin::Compacted { upto } => (upto, len),
    };
    let mut header = MAGIC.to_vec();
    header.put_u32_le(VERSION);
    header.put_u32_le(generation);
    header.put_u64_le(sequence);
    header.put_u64_le(len);
    header.put_u32_le(crc32fast::hash(&header));
    header
}

/// Digits of a generation in a file name: enough for all of them, so that names sort as they do.
const DIGITS: usize = 10;

/// The name of a file that belongs to a segment.
pub(super) fn file_name(generation: Generation, extension: &str) -> String {
    format!("{generation:0DIGITS$}.{extension}")
}

/// What the file `name` is called while it is being made.
pub(super) fn unfinished(name: &str) -> String {
    format!("{name}.{UNFINISHED}")
}

/// Gives a finished file its name.
pub(super) fn publish(dir: &dyn Directory, name: &str) -> Result<()> {
    dir.rename(&unfinished(name), name)
        .map_err(KvsError::io(format_args!(
            "rename {:?} to its final name",
            dir.path().join(unfinished(name))
        )))
}

/// The name of a segment's file.
pub(super) fn name(generation: Generation) -> String {
    file_name(generation, EXTENSION)
}

/// What a data directory holds of the log.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The segments, oldest first.
    pub(super) segments: Vec<Generation>,
    /// The segments that have [hints](super::hints), in any order.
    pub(super) hints: Vec<Generation>,
    /// The names of what was never finished.
    pub(super) unfinished: Vec<String>,
}

impl Listing {
    pub(super) fn of(dir: &dyn Directory) -> Result<Listing> {
        let mut listing = Listing::default();
        let names = dir.list();
        for name in names.map_err(KvsError::io(format_args!("list {:?}", dir.path())))? {
            // Whatever is not named as we name our files is not ours.
            let Some((number, extension)) = name.split_once('.') else {
                continue;
            };
            if number.len() != DIGITS || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            match (number.parse(), extension) {
                (Ok(generation), EXTENSION) => listing.segments.push(generation),
                (Ok(generation), hints::EXTENSION) => listing.hints.push(generation),
                (Ok(_), _) if extension.ends_with(UNFINISHED) => listing.unfinished.push(name),
                _ => {}
            }
        }
        listing.segments.sort_unstable();
        Ok(listing)
    }
}

/// Makes the names of the files as durable as what is in them.
pub(super) fn sync_names(dir: &dyn Directory) -> Result<()> {
    dir.sync()
        .map_err(KvsError::io(format_args!("sync {:?}", dir.path())))
}

/// Unlinks a file of the log.
pub(super) fn remove(dir: &dyn Directory, name: &str) -> Result<()> {
    dir.remove(name).map_err(KvsError::io(format_args!(
        "remove {:?}",
        dir.path().join(name)
    )))
}

/// Reads the records of a segment one after the other.
#[derive(Debug)]
pub(super) struct Scanner {
    segment: Arc<Segment>,
    reader: BufReader<FileReader>,
    /// Where the next record begins.
    offset: u64,
    /// Where the segment ends.
    end: u64,
    /// The sequence number of the record before.
    sequence: u64,
    bytes: Vec<u8>,
}

/// A record as it was found in a segment.
pub(super) struct Found<'a> {
    pub(super) offset: u64,
    pub(super) bytes: &'a [u8],
    pub(super) record: Record<'a>,
}

impl Scanner {
    /// Reads the records of `segment`, which is `end` bytes long.
    pub(super) fn new(segment: Arc<Segment>, end: u64) -> Scanner {
        Scanner {
            reader: FileReader::buffered(Arc::clone(&segment.file), HEADER_LEN, end),
            offset: HEADER_LEN,
            end,
            sequence: match segment.origin {
                Origin::Written { after } => after,
                Origin::Compacted { .. } => 0,
            },
            segment,
            bytes: Vec::new(),
        }
    }

    pub(super) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// The next record, or `None` at the end of the segment.
    pub(super) fn next(&mut self) -> Result<Option<Found<'_>>> {
        let (offset, left) = (self.offset, self.end - self.offset);
        if left == 0 {
            return Ok(None);
        }
        let damaged = |reason| self.segment.damaged(offset, reason);
        let mut header = [0; record::HEADER_LEN];
        if left < header.len() as u64 {
            return Err(damaged("the record is cut off"));
        }
        self.reader
            .read_exact(&mut header)
            .map_err(self.segment.read_failed(offset))?;
        let len = record::Header::decode(&header)
            .map_err(damaged)?
            .record_len();
        if left < len as u64 {
            return Err(damaged("the record is cut off"));
        }
        self.bytes.clear();
        self.bytes.extend(header);
        self.bytes.resize(len, 0);
        self.reader
            .read_exact(&mut self.bytes[record::HEADER_LEN..])
            .map_err(self.segment.read_failed(offset))?;
        let record = self.segment.decode(&self.bytes, offset)?;
        let is_in_order = match self.segment.origin {
            Origin::Written { .. } => record.sequence == self.sequence + 1,
            Origin::Compacted { upto } => (self.sequence + 1..=upto).contains(&record.sequence),
        };
        if !is_in_order {
            return Err(damaged("the record belongs in another place"));
        }
        self.offset += len as u64;
        self.sequence = record.sequence;
        Ok(Some(Found {
            offset,
            bytes: &self.bytes,
            record,
        }))
    }

    /// The sequence number of the last record, or that which the segment follows.
    pub(super) fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// A file as something to read from.
#[derive(Debug)]
pub(super) struct FileReader {
    file: Arc<dyn File>,
    offset: u64,
}

impl FileReader {
    /// Reads what is between `offset` and `end` in `file`.
    pub(super) fn buffered(file: Arc<dyn File>, offset: u64, end: u64) -> BufReader<FileReader> {
        let capacity = (end - offset).min(128 * 1024) as usize;
        BufReader::with_capacity(capacity, FileReader { file, offset })
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}
