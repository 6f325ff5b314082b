//! One file of the log: a header, and records one after the other.
//!
//! ```text
//! offset  bytes  little-endian
//!      0      8  "kvs-log\n"
//!      8      4  version of the format: 1
//!     12      4  generation of the segment, as in the name of the file
//!     16      4  generation below which every segment is replaced by this one, or 0
//!     20      4  checksum: CRC-32 (ISO-HDLC) of the 20 bytes before it
//!     24         records
//! ```

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::record::{self, Record};
use crate::engine::data_dir::sync_dir;
use crate::error::{KvsError, Result};

/// The number of a segment. Segments are written in the order of their generations.
pub(super) type Generation = u32;

/// Bytes before the first record.
pub(super) const HEADER_LEN: u64 = 24;

const MAGIC: &[u8; 8] = b"kvs-log\n";
const VERSION: u32 = 1;

/// The extension of a segment's file.
const EXTENSION: &str = "segment";
/// The extension before it is a part of the log. Such a file means nothing.
const UNFINISHED: &str = "unfinished";

/// An open segment. Readers share it, and can go on when its file is unlinked.
#[derive(Debug)]
pub(super) struct Segment {
    pub(super) generation: Generation,
    /// Where the file is, or where it will be once it is published.
    pub(super) path: PathBuf,
    file: File,
}

impl Segment {
    /// Makes a new segment under a name that means nothing yet, until it is
    /// [published](Segment::publish).
    pub(super) fn create(dir: &Path, generation: Generation) -> Result<Segment> {
        let path = dir.join(file_name(generation, UNFINISHED));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(&path)
            .map_err(KvsError::io(format_args!("create {path:?}")))?;
        Ok(Segment {
            generation,
            path: path.with_extension(EXTENSION),
            file,
        })
    }

    /// Completes the segment. Where `replaces` is not 0, it takes the place of every segment of a
    /// generation below that, once it is published.
    pub(super) fn write_header(&self, replaces: Generation) -> Result<()> {
        self.write(&header(self.generation, replaces), 0)
    }

    /// Makes the segment a part of the log, with a single rename.
    pub(super) fn publish(&self) -> Result<()> {
        self.sync()?;
        let unfinished = self.path.with_extension(UNFINISHED);
        fs::rename(&unfinished, &self.path)
            .map_err(KvsError::io(format_args!("rename {unfinished:?}")))?;
        let dir = self.path.parent().unwrap_or(Path::new("."));
        sync_dir(dir).map_err(KvsError::io(format_args!("sync {dir:?}")))
    }

    /// Opens the segment `generation`. Comes with the generation below which it replaces all.
    pub(super) fn open(dir: &Path, generation: Generation) -> Result<(Segment, Generation)> {
        let path = dir.join(file_name(generation, EXTENSION));
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .map_err(KvsError::io(format_args!("open {path:?}")))?;
        let segment = Segment {
            generation,
            path,
            file,
        };
        let mut found = [0; HEADER_LEN as usize];
        match segment.file.read_exact_at(&mut found, 0) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return Err(segment.damaged(0, "the header is cut off"));
            }
            Err(error) => return Err(segment.read_failed(0)(error)),
        }
        let word = |at: usize| {
            let mut word = [0; 4];
            word.copy_from_slice(&found[at..at + 4]);
            u32::from_le_bytes(word)
        };
        let (version, replaces) = (word(8), word(16));
        if found[..8] != *MAGIC || crc32fast::hash(&found[..20]) != word(20) {
            return Err(segment.damaged(0, "it does not begin as a segment does"));
        }
        if version != VERSION {
            return Err(KvsError::UnknownVersion {
                file: segment.path,
                found: version,
                supported: VERSION,
            });
        }
        if found != header(generation, replaces) {
            return Err(segment.damaged(0, "it is another segment than its name says"));
        }
        Ok((segment, replaces))
    }

    /// The length of the file, in bytes.
    pub(super) fn len(&self) -> Result<u64> {
        let metadata = self.file.metadata();
        metadata
            .map(|metadata| metadata.len())
            .map_err(KvsError::io(format_args!("look at {:?}", self.path)))
    }

    /// Cuts the file off, or back to `len` bytes.
    pub(super) fn truncate(&self, len: u64) -> Result<()> {
        self.file
            .set_len(len)
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
            .sync_data()
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
    /// `sequence` is that of the last record before. Few bytes that are no record claim to come
    /// soon after it, so few have to be summed up.
    pub(super) fn any_record_behind(&self, offset: u64, end: u64, sequence: u64) -> Result<bool> {
        let tail = self.read(offset, (end - offset) as usize)?;
        let expected = sequence + 1..=sequence + tail.len() as u64;
        Ok((1..tail.len()).any(|at| {
            let header = tail[at..].first_chunk().map(record::Header::decode);
            header.is_some_and(|header| {
                header.is_ok_and(|header| expected.contains(&header.sequence))
                    && Record::decode(&tail[at..]).is_ok()
            })
        }))
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

fn header(generation: Generation, replaces: Generation) -> [u8; HEADER_LEN as usize] {
    let mut header = [0; HEADER_LEN as usize];
    header[..8].copy_from_slice(MAGIC);
    header[8..12].copy_from_slice(&VERSION.to_le_bytes());
    header[12..16].copy_from_slice(&generation.to_le_bytes());
    header[16..20].copy_from_slice(&replaces.to_le_bytes());
    let checksum = crc32fast::hash(&header[..20]);
    header[20..].copy_from_slice(&checksum.to_le_bytes());
    header
}

/// Digits of a generation in a file name: enough for all of them, so that names sort as they do.
const DIGITS: usize = 10;

fn file_name(generation: Generation, extension: &str) -> String {
    format!("{generation:0DIGITS$}.{extension}")
}

/// What a data directory holds of the log.
#[derive(Debug, Default)]
pub(super) struct Listing {
    /// The segments, oldest first.
    pub(super) generations: Vec<Generation>,
    /// What was never published.
    pub(super) unfinished: Vec<PathBuf>,
}

impl Listing {
    pub(super) fn of(dir: &Path) -> Result<Listing> {
        let mut listing = Listing::default();
        let failed = |error| KvsError::io(format_args!("list {dir:?}"))(error);
        for entry in fs::read_dir(dir).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            // Whatever is not named as we name our files is not ours.
            let Some((number, extension)) = name.to_str().and_then(|name| name.split_once('.'))
            else {
                continue;
            };
            if number.len() != DIGITS || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            match (number.parse(), extension) {
                (Ok(generation), EXTENSION) => listing.generations.push(generation),
                (Ok(_), UNFINISHED) => listing.unfinished.push(dir.join(&name)),
                _ => {}
            }
        }
        listing.generations.sort_unstable();
        Ok(listing)
    }
}

/// Unlinks the file of a segment.
pub(super) fn remove(path: &Path) -> Result<()> {
    fs::remove_file(path).map_err(KvsError::io(format_args!("remove {path:?}")))
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
        let reader = FileReader {
            segment: Arc::clone(&segment),
            offset: HEADER_LEN,
        };
        Scanner {
            segment,
            reader: BufReader::with_capacity(128 * 1024, reader),
            offset: HEADER_LEN,
            end,
            bytes: Vec::new(),
        }
    }

    pub(super) fn generation(&self) -> Generation {
        self.segment.generation
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
        self.offset += len as u64;
        Ok(Some(Found {
            offset,
            bytes: &self.bytes,
            record: self.segment.decode(&self.bytes, offset)?,
        }))
    }
}

/// A segment as something to read from, without moving the file's own cursor.
#[derive(Debug)]
struct FileReader {
    segment: Arc<Segment>,
    offset: u64,
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.segment.file.read_at(buffer, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}
