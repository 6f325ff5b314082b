//! Reading the records of a segment in sequence.

use std::io::{BufReader, Read};
use std::sync::Arc;

use super::file::FileReader;
use super::record::{self, CUT_OFF, Digest, Location, Record};
use super::segment::Segment;
use super::sound::Fault;
use crate::error::Result;

/// Reads the records of a segment, one after the other.
#[derive(Debug)]
pub(crate) struct Scanner {
    segment: Arc<Segment>,
    reader: BufReader<FileReader>,
    /// The offset of the next record.
    offset: u64,
    /// The end of the segment.
    end: u64,
    /// The sequence number of the last record.
    sequence: u64,
    /// The digest of the records so far.
    digest: Digest,
    bytes: Vec<u8>,
}

/// The result of one step of a job that goes through a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    More,
    Done,
}

/// A record, its place and its bytes.
pub(crate) struct Scanned<'a> {
    pub(crate) location: Location,
    pub(crate) bytes: &'a [u8],
    pub(crate) record: Record<'a>,
    /// The checksum of key and value.
    pub(crate) checksum: u32,
}

impl Scanner {
    /// Reads the records of `segment`, which is `end` bytes long.
    pub(crate) fn new(segment: Arc<Segment>, end: u64) -> Scanner {
        let (offset, sequence) = (segment.start, segment.origin.before_first());
        Scanner::resume(segment, end, offset, sequence)
    }

    /// Reads the records that begin at `offset` or later. The one before has the number `sequence`.
    pub(crate) fn resume(segment: Arc<Segment>, end: u64, offset: u64, sequence: u64) -> Scanner {
        Scanner {
            reader: segment.file().reader(offset, end),
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

    /// Returns the next record, or `None` at the end of the segment.
    ///
    /// # Errors
    ///
    /// [`KvsError::Damaged`](crate::KvsError::Damaged) if there is no sound record, or if its
    /// sequence number does not follow the last one.
    pub(crate) fn next(&mut self) -> Result<Option<Scanned<'_>>> {
        let (last, origin) = (self.sequence, self.segment.origin);
        self.read_record(|sequence| origin.may_follow(last, sequence))
    }

    /// Returns the next record, whatever its sequence number, or `None` at the end of the segment.
    pub(crate) fn next_of_any_number(&mut self) -> Result<Option<Scanned<'_>>> {
        self.read_record(|_| true)
    }

    fn read_record(&mut self, is_next: impl Fn(u64) -> bool) -> Result<Option<Scanned<'_>>> {
        // `skip_to` may have gone past the end.
        let (offset, left) = (self.offset, self.end.saturating_sub(self.offset));
        if left == 0 {
            return Ok(None);
        }
        let damaged = |reason: &'static str| self.segment.damaged(offset, reason);
        let mut start = [0; record::HEADER_LEN];
        if left < start.len() as u64 {
            return Err(damaged(CUT_OFF));
        }
        self.reader
            .read_exact(&mut start)
            .map_err(self.segment.file().read_failed(offset))?;
        let header = record::Header::decode(&start, self.segment.salt).map_err(damaged)?;
        let len = header.record_len();
        // This comes before the buffer grows, because a header may promise more than the file has.
        if left < len as u64 {
            return Err(damaged(CUT_OFF));
        }
        if !is_next(header.sequence) {
            return Err(self.segment.damaged(offset, Fault::OutOfPlace));
        }
        self.bytes.clear();
        self.bytes.extend_from_slice(&start);
        self.bytes.resize(len, 0);
        self.reader
            .read_exact(&mut self.bytes[record::HEADER_LEN..])
            .map_err(self.segment.file().read_failed(offset))?;
        let record = header.record(&self.bytes[record::HEADER_LEN..]);
        let record = record.map_err(damaged)?;
        // The fields change only now, so after an error `offset` is that of the bad record.
        self.offset += len as u64;
        self.sequence = record.sequence;
        self.digest.add(&self.bytes);
        Ok(Some(Scanned {
            location: Location {
                offset,
                generation: self.segment.generation,
                len: len as u32,
            },
            bytes: &self.bytes,
            record,
            checksum: header.body,
        }))
    }

    /// Continues at `offset`. After an error, this is the only way to continue.
    pub(crate) fn skip_to(&mut self, offset: u64) {
        self.offset = offset;
        // The buffer has bytes from elsewhere, or the error left it in an unknown state.
        self.reader = self.segment.file().reader(offset, self.end);
    }

    /// Returns the offset of the next record.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// Returns the sequence number of the last record, or of the write before the first one.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Returns the digest of all records so far.
    pub(crate) fn digest(&self) -> Digest {
        self.digest
    }
}
