//! Hints: the keys of a sealed segment and the places of their records, without the values. Opening
//! a store reads them instead of the segment.
//!
//! They are written in the background and never synced. If they are missing, torn, or of another
//! segment, opening the store reads the segment, and new hints are written. They contain the digest
//! of their segment, which is also in the header of the next one. That proves which segment they
//! belong to.

use std::io::{Cursor, Read};
use std::sync::Arc;

use bytes::{Buf, BufMut};

use super::dir::LogDir;
use super::file::LogFile;
use super::header;
use super::names::{self, Generation};
use super::record::{self, Digest, Location, Salt};
use super::scanner::{Scanned, Scanner, Step};
use super::segment::Segment;
use crate::error::Result;

const MAGIC: &[u8; 8] = b"kvs-hnt\n";
const VERSION: u32 = 2;
const START: u64 = 56;

/// The hints of one segment, while they are written.
#[derive(Debug)]
pub(crate) struct Writer {
    scanner: Scanner,
    segment_len: u64,
    file: LogFile,
    len: u64,
}

impl Writer {
    /// Begins to write the hints of `segment`, which is sealed and `len` bytes long.
    pub(crate) fn new(dir: LogDir<'_>, segment: Arc<Segment>, len: u64) -> Result<Writer> {
        Ok(Writer {
            file: dir.create(&names::hints(segment.generation))?,
            scanner: Scanner::new(segment, len),
            segment_len: len,
            len: START,
        })
    }

    /// Writes the hints of about `step` bytes of the segment.
    pub(crate) fn step(&mut self, step: usize) -> Result<Step> {
        let mut hints = Vec::new();
        let mut seen = 0;
        let mut next = Step::More;
        while seen < step && next == Step::More {
            match self.scanner.next()? {
                Some(Scanned { bytes, record, .. }) => {
                    seen += bytes.len();
                    // The checksums of the record do not fit: one does not cover the key, and the
                    // other needs the value. So a hint has a checksum of its own.
                    let hint = [&bytes[4..record::HEADER_LEN], record.key.as_bytes()].concat();
                    hints.put_u32_le(crc32fast::hash(&hint));
                    hints.extend(hint);
                }
                None => next = Step::Done,
            }
        }
        self.file.write(&hints, self.len)?;
        self.len += hints.len() as u64;
        // The header is written last: without it, the file does not read as hints.
        if next == Step::Done {
            self.file.write(&self.header().encode(), 0)?;
        }
        Ok(next)
    }

    fn header(&self) -> Header {
        let segment = self.scanner.segment();
        Header {
            generation: segment.generation,
            salt: segment.salt,
            segment_start: segment.start,
            segment_len: self.segment_len,
            len: self.len,
            sequence: self.scanner.sequence(),
            digest: self.scanner.digest(),
        }
    }

    /// Publishes the hints, which are complete.
    pub(crate) fn publish(&self, dir: LogDir<'_>) -> Result<()> {
        dir.publish(&self.name())
    }

    /// Removes the hints, which are not published.
    pub(crate) fn discard(&self, dir: LogDir<'_>) -> Result<()> {
        dir.discard(&self.name())
    }

    fn name(&self) -> String {
        names::hints(self.scanner.segment().generation)
    }
}

/// The beginning of a file of hints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    generation: Generation,
    pub(crate) salt: Salt,
    /// The offset of the segment's first record.
    segment_start: u64,
    segment_len: u64,
    /// The length of the hints.
    len: u64,
    /// The number of the segment's last record.
    pub(crate) sequence: u64,
    /// The digest of the segment's records.
    pub(crate) digest: Digest,
}

impl Header {
    fn encode(&self) -> Vec<u8> {
        header::encode(MAGIC, VERSION, |header| {
            header.put_u32_le(self.generation);
            header.put_u32_le(self.salt.0);
            // This is the length of a segment's header.
            header.put_u32_le(self.segment_start as u32);
            header.put_u64_le(self.segment_len);
            header.put_u64_le(self.len);
            header.put_u64_le(self.sequence);
            header.put_u32_le(self.digest.0);
        })
    }

    fn decode(bytes: &[u8]) -> Option<Header> {
        let mut fields = Cursor::new(&bytes[header::FIELDS..]);
        let header = Header {
            generation: fields.get_u32_le(),
            salt: Salt(fields.get_u32_le()),
            segment_start: fields.get_u32_le().into(),
            segment_len: fields.get_u64_le(),
            len: fields.get_u64_le(),
            sequence: fields.get_u64_le(),
            digest: Digest(fields.get_u32_le()),
        };
        // The comparison checks magic, version and checksum, too.
        (header.encode() == bytes).then_some(header)
    }
}

/// The hints of a segment that was sealed. The segment itself may be lost.
#[derive(Debug)]
pub(crate) struct Hints {
    pub(crate) header: Header,
    file: LogFile,
}

/// A record of a segment, without its value.
#[derive(Debug)]
pub(crate) struct Hint<'a> {
    pub(crate) key: &'a str,
    pub(crate) location: Location,
    pub(crate) sequence: u64,
    /// Whether the record is not a tombstone.
    pub(crate) has_value: bool,
}

impl Hints {
    /// Opens the hints of the segment `generation`, if they exist and are complete. They may still
    /// belong to another segment: see [`are_of`](Hints::are_of).
    pub(crate) fn open(dir: LogDir<'_>, generation: Generation) -> Option<Hints> {
        // No error counts, because the store can read the segment instead.
        let file = dir.open(&names::hints(generation)).ok()?;
        let start = file.read(0, START as usize).ok()?;
        let header = Header::decode(&start)?;
        let is_whole = header.generation == generation && file.len().ok()? == header.len;
        is_whole.then_some(Hints { header, file })
    }

    /// Returns whether these are the hints of `segment`, which is `len` bytes long and whose
    /// records have this digest.
    pub(crate) fn are_of(&self, segment: &Segment, len: u64, digest: Digest) -> bool {
        let Header {
            salt,
            segment_start,
            segment_len,
            ..
        } = self.header;
        (salt, segment_start, segment_len) == (segment.salt, segment.start, len)
            && self.header.digest == digest
    }

    /// Returns an estimate of the number of records, for keys of usual length.
    pub(crate) fn about_how_many(&self) -> usize {
        const KEY_LEN: usize = 16;
        (self.header.len - START) as usize / (record::HEADER_LEN + KEY_LEN)
    }

    /// Calls `found` for each record. Returns `None` if the file is damaged; `found` may have been
    /// called by then.
    pub(crate) fn read(&self, mut found: impl FnMut(Hint<'_>)) -> Option<()> {
        let mut reader = self.file.reader(START, self.header.len);
        let mut left = self.header.len.checked_sub(START)?;
        let mut offset = self.header.segment_start;
        let mut hint = Vec::new();
        let mut digest = Digest::default();
        while left > 0 {
            let mut bytes = [0; record::HEADER_LEN];
            reader.read_exact(&mut bytes).ok()?;
            // This limits the length of the key, so a damaged one does not take gigabytes.
            let header = record::Header::decode_fields(&bytes).ok()?;
            hint.clear();
            hint.extend(bytes);
            hint.resize(bytes.len() + header.key_len, 0);
            reader.read_exact(&mut hint[bytes.len()..]).ok()?;
            if crc32fast::hash(&hint[4..]).to_le_bytes() != hint[..4] {
                return None;
            }
            let location = Location {
                offset,
                generation: self.header.generation,
                len: header.record_len() as u32,
            };
            found(Hint {
                key: str::from_utf8(&hint[bytes.len()..]).ok()?,
                location,
                sequence: header.sequence,
                has_value: header.value_len.is_some(),
            });
            // The digest is made of the checksums at the beginnings of the records. A hint has its
            // own checksum there, but the salt and these fields give that of the record.
            digest.add(&self.header.salt.checksum(&bytes[4..]).to_le_bytes());
            // Records have no gaps between them, so their lengths give their offsets.
            offset += header.record_len() as u64;
            left = left.checked_sub(hint.len() as u64)?;
        }
        let is_whole = (offset, digest) == (self.header.segment_len, self.header.digest);
        is_whole.then_some(())
    }
}
