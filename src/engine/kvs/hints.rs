//! Hints: what is where in a sealed segment, without the values, so that opening a store need not
//! read them. `docs/format.md` has their bytes.
//!
//! They are written in the background and never synced. Where they are missing, torn, or not those
//! of the segment, the segment is read instead, and hints are written anew.

use std::io::{Cursor, Read};
use std::sync::Arc;

use bytes::{Buf, BufMut};

use super::index::Location;
use super::record;
use super::segment::{self, FileReader, Found, Generation, HEADER_LEN, Scanner, Segment};
use crate::engine::files::{Directory, File};
use crate::error::{KvsError, Result};

pub(super) const EXTENSION: &str = "hints";

const MAGIC: &[u8; 8] = b"kvs-hnt\n";
const VERSION: u32 = 1;
const START: u64 = 44;

pub(super) fn name(generation: Generation) -> String {
    segment::file_name(generation, EXTENSION)
}

/// The hints of one segment, while they are being written.
#[derive(Debug)]
pub(super) struct Writer {
    scanner: Scanner,
    segment_len: u64,
    file: Arc<dyn File>,
    len: u64,
}

impl Writer {
    /// Begins to write the hints of `segment`, which is sealed and `len` bytes long.
    pub(super) fn new(dir: &dyn Directory, segment: Arc<Segment>, len: u64) -> Result<Writer> {
        let name = name(segment.generation);
        let file = dir
            .create(&segment::unfinished(&name))
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

    pub(super) fn generation(&self) -> Generation {
        self.scanner.segment().generation
    }

    /// Goes through about `step` bytes of the segment, and says whether there is more.
    pub(super) fn step(&mut self, step: usize) -> Result<bool> {
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
            let header = header(
                self.generation(),
                self.segment_len,
                self.len,
                self.scanner.sequence(),
            );
            self.write(&header, 0)?;
        }
        Ok(!is_done)
    }

    /// Has the hints count, when they are complete.
    pub(super) fn publish(&self, dir: &dyn Directory) -> Result<()> {
        segment::publish(dir, &name(self.generation()))
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

fn header(generation: Generation, segment_len: u64, len: u64, sequence: u64) -> Vec<u8> {
    let mut header = MAGIC.to_vec();
    header.put_u32_le(VERSION);
    header.put_u32_le(generation);
    header.put_u64_le(segment_len);
    header.put_u64_le(len);
    header.put_u64_le(sequence);
    header.put_u32_le(crc32fast::hash(&header));
    header
}

/// The hints of a segment that need not be there any more.
#[derive(Debug)]
pub(super) struct Hints {
    generation: Generation,
    file: Arc<dyn File>,
    len: u64,
    /// The length that the segment had.
    pub(super) segment_len: u64,
    /// The number of its last record.
    pub(super) sequence: u64,
}

impl Hints {
    /// Opens the hints of a segment, where there are any that make sense.
    pub(super) fn open(dir: &dyn Directory, generation: Generation) -> Option<Hints> {
        let file = dir.open(&name(generation)).ok()?;
        let mut start = [0; START as usize];
        file.read_exact_at(&mut start, 0).ok()?;
        let mut fields = Cursor::new(&start[16..]);
        let hints = Hints {
            generation,
            segment_len: fields.get_u64_le(),
            len: fields.get_u64_le(),
            sequence: fields.get_u64_le(),
            file,
        };
        let expected = header(generation, hints.segment_len, hints.len, hints.sequence);
        (start[..] == expected && hints.file.size().ok()? == hints.len).then_some(hints)
    }

    /// The number of records, if their keys are of usual length.
    pub(super) fn about_how_many(&self) -> usize {
        const KEY_LEN: usize = 16;
        (self.len - START) as usize / (record::HEADER_LEN + KEY_LEN)
    }

    /// Tells `found`, for each record, its key, its place, its number and whether it has a value.
    ///
    /// Comes out as `None` where they break off. `found` has heard some of them then.
    pub(super) fn read(&self, mut found: impl FnMut(&str, Location, u64, bool)) -> Option<()> {
        let mut reader = FileReader::buffered(Arc::clone(&self.file), START, self.len);
        let mut left = self.len - START;
        let mut offset = HEADER_LEN;
        let mut hint = Vec::new();
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
                generation: self.generation,
                len: header.record_len() as u32,
            };
            found(key, location, header.sequence, header.value_len.is_some());
            offset += header.record_len() as u64;
            left = left.checked_sub(hint.len() as u64)?;
        }
        (offset == self.segment_len).then_some(())
    }
}
