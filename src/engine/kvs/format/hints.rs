//! Hints: the keys of a sealed segment and the places of their records, without the values. Opening
//! a store reads them instead of the segment.
//!
//! They are written with the records, or later in the background, and never synced. If they are
//! missing, torn, or of another segment, the segment is read, and new hints are written. They
//! contain the digest of their segment, which is also in the header of the next one. That proves
//! which segment they belong to.

use std::io::{BufReader, Cursor, Read};
use std::sync::Arc;

use bytes::{Buf, BufMut};

use super::dir::LogDir;
use super::file::{FileReader, LogFile};
use super::header;
use super::names::{self, Generation};
use super::record::{self, Digest, Location, Salt};
use super::scanner::{Scanned, Scanner, Step};
use super::segment::Segment;
use crate::error::{KvsError, Result};

const MAGIC: &[u8; 8] = b"kvs-hnt\n";
const VERSION: u32 = 2;
const START: u64 = 56;

/// The number of bytes of hints that are worth a system call.
const MANY: usize = 64 * 1024;

/// The hints of one segment, while they are written.
#[derive(Debug)]
pub(crate) struct Writer {
    segment: Arc<Segment>,
    file: LogFile,
    len: u64,
    /// The hints that the file does not have yet.
    hints: Vec<u8>,
    /// The number of the last record.
    sequence: u64,
}

impl Writer {
    /// Begins to write the hints of `segment`.
    pub(crate) fn new(dir: LogDir<'_>, segment: Arc<Segment>) -> Result<Writer> {
        Ok(Writer {
            file: dir.create(&names::hints(segment.generation))?,
            len: START,
            hints: Vec::new(),
            sequence: segment.origin.before_first(),
            segment,
        })
    }

    /// Adds the next record of the segment, which has the number `sequence` and these `bytes`.
    pub(crate) fn add(&mut self, sequence: u64, key_len: usize, bytes: &[u8]) {
        // The checksums of the record do not fit: one does not cover the key, and the other needs
        // the value. So a hint has a checksum of its own.
        let hint = &bytes[4..record::HEADER_LEN + key_len];
        self.hints.put_u32_le(crc32fast::hash(hint));
        self.hints.extend_from_slice(hint);
        self.sequence = sequence;
    }

    /// Adds all records in `bytes`, which the store has just encoded, and writes the hints now and
    /// then.
    pub(crate) fn add_all(&mut self, bytes: &[u8]) -> Result<()> {
        for (header, record) in record::split(bytes) {
            self.add(header.sequence, header.key_len, record);
        }
        if self.hints.len() < MANY {
            return Ok(());
        }
        self.write()
    }

    /// Writes the hints of the records so far.
    pub(crate) fn write(&mut self) -> Result<()> {
        self.file.write(&self.hints, self.len)?;
        self.len += self.hints.len() as u64;
        self.hints.clear();
        Ok(())
    }

    /// Returns the hints, which are all written. The segment is `segment_len` bytes long, and its
    /// records have this digest.
    pub(crate) fn hints(&self, segment_len: u64, digest: Digest) -> Hints {
        Hints {
            header: Header {
                generation: self.segment.generation,
                salt: self.segment.salt,
                segment_start: self.segment.start,
                segment_len,
                len: self.len,
                sequence: self.sequence,
                digest,
            },
            file: self.file.clone(),
        }
    }

    /// Writes what is left, and publishes the hints. The segment is as
    /// [`hints`](Writer::hints) says.
    pub(crate) fn publish(
        &mut self,
        segment_len: u64,
        digest: Digest,
        dir: LogDir<'_>,
    ) -> Result<()> {
        self.write()?;
        self.hints(segment_len, digest).publish(dir)
    }

    /// Removes the hints, which are not published.
    pub(crate) fn discard(&self, dir: LogDir<'_>) -> Result<()> {
        dir.discard(&names::hints(self.segment.generation))
    }
}

/// Writes the hints of a sealed segment, which it reads for that.
#[derive(Debug)]
pub(crate) struct Rewriter {
    scanner: Scanner,
    segment_len: u64,
    writer: Writer,
}

impl Rewriter {
    /// Begins to write the hints of `segment`, which is `len` bytes long.
    pub(crate) fn new(dir: LogDir<'_>, segment: Arc<Segment>, len: u64) -> Result<Rewriter> {
        Ok(Rewriter {
            writer: Writer::new(dir, Arc::clone(&segment))?,
            scanner: Scanner::new(segment, len),
            segment_len: len,
        })
    }

    /// Writes the hints of about `step` bytes of the segment.
    pub(crate) fn step(&mut self, step: usize) -> Result<Step> {
        let end = self.scanner.offset() + step as u64;
        let mut next = Step::More;
        while self.scanner.offset() < end && next == Step::More {
            match self.scanner.next()? {
                Some(Scanned { bytes, record, .. }) => {
                    self.writer.add(record.sequence, record.key.len(), bytes);
                }
                None => next = Step::Done,
            }
        }
        self.writer.write()?;
        Ok(next)
    }

    /// Publishes the hints, which are all written.
    pub(crate) fn publish(&self, dir: LogDir<'_>) -> Result<()> {
        let digest = self.scanner.digest();
        self.writer.hints(self.segment_len, digest).publish(dir)
    }

    /// Removes the hints, which are not published.
    pub(crate) fn discard(&self, dir: LogDir<'_>) -> Result<()> {
        self.writer.discard(dir)
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

    /// Completes hints that have not been published, and publishes them.
    pub(crate) fn publish(&self, dir: LogDir<'_>) -> Result<()> {
        // The header is written last: without it, the file does not read as hints.
        self.file.write(&self.header.encode(), 0)?;
        dir.publish(&names::hints(self.header.generation))
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

    /// Returns whether the segment has records.
    pub(crate) fn has_records(&self) -> bool {
        self.header.segment_len > self.header.segment_start
    }

    /// Returns an estimate of the number of records, for keys of usual length.
    pub(crate) fn about_how_many(&self) -> usize {
        const KEY_LEN: usize = 16;
        (self.header.len - START) as usize / (record::HEADER_LEN + KEY_LEN)
    }

    /// Calls `found` for each record. Returns `None` if the file is damaged; `found` may have been
    /// called by then.
    pub(crate) fn read(self, mut found: impl FnMut(Hint<'_>)) -> Option<()> {
        let mut reader = Reader::new(self);
        while let Some(hint) = reader.next().ok()? {
            found(hint);
        }
        Some(())
    }
}

/// Reads hints in sequence.
#[derive(Debug)]
pub(crate) struct Reader {
    hints: Hints,
    reader: BufReader<FileReader>,
    /// The offset of the next hint.
    at: u64,
    /// The offset of its record.
    offset: u64,
    /// The digest of the records so far.
    digest: Digest,
    hint: Vec<u8>,
}

impl Reader {
    pub(crate) fn new(hints: Hints) -> Reader {
        Reader {
            reader: hints.file.reader(START, hints.header.len),
            at: START,
            offset: hints.header.segment_start,
            digest: Digest::default(),
            hint: Vec::new(),
            hints,
        }
    }

    /// Returns the offset of the next record.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the next hint, or `None` after the last one. After an error, it tries again.
    ///
    /// # Errors
    ///
    /// [`KvsError::Damaged`] if the hints are not as they were written.
    pub(crate) fn next(&mut self) -> Result<Option<Hint<'_>>> {
        let Header {
            len, segment_len, ..
        } = self.hints.header;
        if self.at == len {
            let is_whole = (self.offset, self.digest) == (segment_len, self.hints.header.digest);
            return if is_whole {
                Ok(None)
            } else {
                Err(self.damaged())
            };
        }
        let header = self.read_hint().inspect_err(|_| {
            // The failed read has moved the reader into the hint.
            self.reader = self.hints.file.reader(self.at, len);
        });
        let header = header?;
        let location = Location {
            offset: self.offset,
            generation: self.hints.header.generation,
            len: header.record_len() as u32,
        };
        // Records have no gaps between them, so their lengths give their offsets.
        self.offset += header.record_len() as u64;
        self.at += self.hint.len() as u64;
        let (fields, key) = self.hint.split_at(record::HEADER_LEN);
        // The digest is made of the checksums at the beginnings of the records. A hint has its own
        // checksum there, but the salt and these fields give that of the record.
        let checksum = self.hints.header.salt.checksum(&fields[4..]);
        self.digest.add(&checksum.to_le_bytes());
        Ok(Some(Hint {
            key: str::from_utf8(key).map_err(|_| self.damaged())?,
            location,
            sequence: header.sequence,
            has_value: header.value_len.is_some(),
        }))
    }

    /// Reads the next hint, and returns the header of its record.
    fn read_hint(&mut self) -> Result<record::Header> {
        let mut bytes = [0; record::HEADER_LEN];
        let failed = |at| self.hints.file.read_failed(at);
        self.reader
            .read_exact(&mut bytes)
            .map_err(failed(self.at))?;
        // This limits the length of the key, so a damaged one does not take gigabytes.
        let header = record::Header::decode_fields(&bytes).map_err(|_| self.damaged())?;
        self.hint.clear();
        self.hint.extend(bytes);
        self.hint.resize(bytes.len() + header.key_len, 0);
        let key = &mut self.hint[bytes.len()..];
        self.reader.read_exact(key).map_err(failed(self.at))?;
        if crc32fast::hash(&self.hint[4..]).to_le_bytes() != self.hint[..4] {
            return Err(self.damaged());
        }
        Ok(header)
    }

    fn damaged(&self) -> KvsError {
        KvsError::Damaged {
            file: self.hints.file.path().to_owned(),
            offset: self.at,
            reason: "a hint is not as it was written".to_owned(),
        }
    }
}
