//! Hints: what is where in a sealed segment, without the values, so that opening a store need not
//! read them. `docs/format.md` has their bytes.
//!
//! They are written in the background and never synced. If they are missing, torn, or of another
//! segment, the store reads the segment instead, and writes new hints. They contain the digest of
//! their segment, which is also in the header of the next one. That proves which segment they
//! belong to.

use std::io::{Cursor, Read};
use std::sync::Arc;

use bytes::{Buf, BufMut};

use crate::engine::files::{Directory, File};
use crate::engine::kvs::format::names::{self, Generation};
use crate::engine::kvs::format::record::Location;
use crate::engine::kvs::format::record::{self, Digest, Salt};
use crate::engine::kvs::format::scanner::{FileReader, Found, Scanner};
use crate::engine::kvs::format::segment::Segment;
use crate::error::{KvsError, Result};

const MAGIC: &[u8; 8] = b"kvs-hnt\n";
const VERSION: u32 = 2;
const START: u64 = 56;

/// The hints of one segment, while they are being written.
#[derive(Debug)]
pub(crate) struct Writer {
    scanner: Scanner,
    segment_len: u64,
    file: Arc<dyn File>,
    len: u64,
}

impl Writer {
    /// Begins to write the hints of `segment`, which is sealed and `len` bytes long.
    pub(crate) fn new(dir: &dyn Directory, segment: Arc<Segment>, len: u64) -> Result<Writer> {
        let name = names::hints(segment.generation);
        let file = dir
            .create(&names::unfinished(&name))
            .map_err(KvsError::io(format_args!(
                "create {:?}",
                dir.path().join(&name)
            )))?;
        Ok(Writer {
            scanner: Scanner::new(segment, len),
            segment_len: len,
            file,
            len: START,
        })
    }

    pub(crate) fn generation(&self) -> Generation {
        self.scanner.segment().generation
    }

    /// Goes through about `step` bytes of the segment, and says whether there is more.
    pub(crate) fn step(&mut self, step: usize) -> Result<bool> {
        let mut hints = Vec::new();
        let mut seen = 0;
        let mut is_done = false;
        while seen < step && !is_done {
            match self.scanner.next()? {
                Some(Found { bytes, record, .. }) => {
                    seen += bytes.len();
                    // All of the header but its checksum, which is not of the key.
                    let hint = [&bytes[4..record::HEADER_LEN], record.key.as_bytes()].concat();
                    hints.put_u32_le(crc32fast::hash(&hint));
                    hints.extend(hint);
                }
                None => is_done = true,
            }
        }
        self.write(&hints, self.len)?;
        self.len += hints.len() as u64;
        if is_done {
            let segment = self.scanner.segment();
            let header = Header {
                generation: segment.generation,
                salt: segment.salt,
                segment_start: segment.start,
                segment_len: self.segment_len,
                len: self.len,
                sequence: self.scanner.sequence(),
                digest: self.scanner.digest(),
            };
            self.write(&header.encode(), 0)?;
        }
        Ok(!is_done)
    }

    /// Has the hints count, when they are complete.
    pub(crate) fn publish(&self, dir: &dyn Directory) -> Result<()> {
        names::publish(dir, &names::hints(self.generation()))
    }

    fn write(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file
            .write_all_at(bytes, offset)
            .map_err(KvsError::io(format_args!(
                "write the hints of {:?}",
                self.scanner.segment().path
            )))
    }
}

/// The beginning of a file of hints.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    generation: Generation,
    pub(crate) salt: Salt,
    /// Where the first record of the segment begins.
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
        let mut header = MAGIC.to_vec();
        header.put_u32_le(VERSION);
        header.put_u32_le(self.generation);
        header.put_u32_le(self.salt.0);
        header.put_u32_le(self.segment_start as u32);
        header.put_u64_le(self.segment_len);
        header.put_u64_le(self.len);
        header.put_u64_le(self.sequence);
        header.put_u32_le(self.digest.0);
        header.put_u32_le(crc32fast::hash(&header));
        header
    }

    fn decode(bytes: &[u8; START as usize]) -> Option<Header> {
        let mut fields = Cursor::new(&bytes[12..]);
        let header = Header {
            generation: fields.get_u32_le(),
            salt: Salt(fields.get_u32_le()),
            segment_start: fields.get_u32_le().into(),
            segment_len: fields.get_u64_le(),
            len: fields.get_u64_le(),
            sequence: fields.get_u64_le(),
            digest: Digest(fields.get_u32_le()),
        };
        (header.encode() == bytes).then_some(header)
    }
}

/// The hints of a segment, which may not be there any more.
#[derive(Debug)]
pub(crate) struct Hints {
    pub(crate) header: Header,
    file: Arc<dyn File>,
}

impl Hints {
    /// Opens the hints of the segment `generation`, if they exist and are complete. They may still
    /// belong to another segment: see [`are_of`](Hints::are_of).
    pub(crate) fn open(dir: &dyn Directory, generation: Generation) -> Option<Hints> {
        let file = dir.open(&names::hints(generation)).ok()?;
        let mut start = [0; START as usize];
        file.read_exact_at(&mut start, 0).ok()?;
        let header = Header::decode(&start)?;
        let is_whole = header.generation == generation && file.size().ok()? == header.len;
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

    /// The number of records, if their keys are of usual length.
    pub(crate) fn about_how_many(&self) -> usize {
        const KEY_LEN: usize = 16;
        (self.header.len - START) as usize / (record::HEADER_LEN + KEY_LEN)
    }

    /// Tells `found`, for each record, its key, its place, its number and whether it has a value.
    ///
    /// Comes out as `None` where they break off. `found` has heard some of them then.
    pub(crate) fn read(&self, mut found: impl FnMut(&str, Location, u64, bool)) -> Option<()> {
        let mut reader = FileReader::buffered(Arc::clone(&self.file), START, self.header.len);
        let mut left = self.header.len - START;
        let mut offset = self.header.segment_start;
        let mut hint = Vec::new();
        let mut digest = Digest::default();
        while left > 0 {
            let mut bytes = [0; record::HEADER_LEN];
            reader.read_exact(&mut bytes).ok()?;
            let header = record::Header::decode_fields(&bytes).ok()?;
            hint.clear();
            hint.extend(bytes);
            hint.resize(bytes.len() + header.key_len, 0);
            reader.read_exact(&mut hint[bytes.len()..]).ok()?;
            if crc32fast::hash(&hint[4..]).to_le_bytes() != hint[..4] {
                return None;
            }
            let key = std::str::from_utf8(&hint[bytes.len()..]).ok()?;
            let location = Location {
                offset,
                generation: self.header.generation,
                len: header.record_len() as u32,
            };
            found(key, location, header.sequence, header.value_len.is_some());
            digest.add(&self.header.salt.checksum(&bytes[4..]).to_le_bytes());
            offset += header.record_len() as u64;
            left = left.checked_sub(hint.len() as u64)?;
        }
        let is_whole = (offset, digest) == (self.header.segment_len, self.header.digest);
        is_whole.then_some(())
    }
}
