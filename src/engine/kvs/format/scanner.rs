//! Reading the records of a segment in sequence.

use std::io::{self, BufReader, Read};
use std::sync::Arc;

use super::record::{self, CUT_OFF, Digest, Location, Record};
use super::segment::{Origin, Segment};
use crate::engine::files::File;
use crate::error::Result;

/// Reads the records of a segment one after the other.
#[derive(Debug)]
pub(crate) struct Scanner {
    segment: Arc<Segment>,
    reader: BufReader<FileReader>,
    /// Where the next record begins.
    offset: u64,
    /// Where the segment ends.
    end: u64,
    /// The sequence number of the record before.
    sequence: u64,
    /// The digest of the records so far.
    digest: Digest,
    bytes: Vec<u8>,
}

/// A record as it was found in a segment.
pub(crate) struct Found<'a> {
    pub(crate) location: Location,
    pub(crate) bytes: &'a [u8],
    pub(crate) record: Record<'a>,
}

impl Scanner {
    /// Reads the records of `segment`, which is `end` bytes long.
    pub(crate) fn new(segment: Arc<Segment>, end: u64) -> Scanner {
        let sequence = match segment.origin {
            Origin::Written { after } => after,
            Origin::Compacted { .. } => 0,
        };
        let offset = segment.start;
        Scanner {
            reader: FileReader::buffered(Arc::clone(&segment.file), offset, end),
            offset,
            end,
            sequence,
            digest: Digest::default(),
            segment,
            bytes: Vec::new(),
        }
    }

    pub(crate) fn segment(&self) -> &Arc<Segment> {
        &self.segment
    }

    /// The next record, or `None` at the end of the segment. It has to be the one that comes next.
    pub(crate) fn next(&mut self) -> Result<Option<Found<'_>>> {
        let last = self.sequence;
        let origin = self.segment.origin;
        self.read_record(|sequence| match origin {
            Origin::Written { .. } => sequence == last + 1,
            Origin::Compacted { upto } => (last + 1..=upto).contains(&sequence),
        })
    }

    /// The next record, or `None` at the end of the segment, whichever it is.
    pub(crate) fn next_of_any_number(&mut self) -> Result<Option<Found<'_>>> {
        self.read_record(|_| true)
    }

    fn read_record(&mut self, is_next: impl Fn(u64) -> bool) -> Result<Option<Found<'_>>> {
        let (offset, left) = (self.offset, self.end.saturating_sub(self.offset));
        if left == 0 {
            return Ok(None);
        }
        let damaged = |reason| self.segment.damaged(offset, reason);
        let mut start = [0; record::HEADER_LEN];
        if left < start.len() as u64 {
            return Err(damaged(CUT_OFF));
        }
        self.reader
            .read_exact(&mut start)
            .map_err(self.segment.read_failed(offset))?;
        let header = record::Header::decode(&start, self.segment.salt).map_err(damaged)?;
        let len = header.record_len();
        if left < len as u64 {
            return Err(damaged(CUT_OFF));
        }
        if !is_next(header.sequence) {
            return Err(damaged("the record belongs in another place"));
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(&start);
        self.bytes.resize(len, 0);
        self.reader
            .read_exact(&mut self.bytes[record::HEADER_LEN..])
            .map_err(self.segment.read_failed(offset))?;
        let record = header.record(&self.bytes[record::HEADER_LEN..]);
        let record = record.map_err(damaged)?;
        self.offset += len as u64;
        self.sequence = record.sequence;
        self.digest.add(&self.bytes);
        Ok(Some(Found {
            location: Location {
                offset,
                generation: self.segment.generation,
                len: len as u32,
            },
            bytes: &self.bytes,
            record,
        }))
    }

    /// Goes on at `offset`, after an error.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        self.offset = offset;
        self.reader = FileReader::buffered(Arc::clone(&self.segment.file), offset, self.end);
    }

    /// Where the next record begins.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The sequence number of the last record, or that which the segment follows.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The digest of all records so far.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }
}

/// A file as something to read from.
#[derive(Debug)]
pub(crate) struct FileReader {
    file: Arc<dyn File>,
    offset: u64,
}

impl FileReader {
    /// Reads `file` from `offset` on, as much at a time as is asked for.
    pub(crate) fn new(file: Arc<dyn File>, offset: u64) -> FileReader {
        FileReader { file, offset }
    }

    /// Reads what is between `offset` and `end` in `file`.
    pub(crate) fn buffered(file: Arc<dyn File>, offset: u64, end: u64) -> BufReader<FileReader> {
        let capacity = end.saturating_sub(offset).min(128 * 1024) as usize;
        BufReader::with_capacity(capacity, FileReader::new(file, offset))
    }
}

impl Read for FileReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.file.read_at(buffer, self.offset)?;
        self.offset += n as u64;
        Ok(n)
    }
}
