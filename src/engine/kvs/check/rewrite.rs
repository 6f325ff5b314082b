//! Writing a damaged log anew.

use std::path::PathBuf;

use super::survey::Survey;
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::names;
use crate::engine::kvs::format::record::{Digest, Location, Record, Salt};
use crate::engine::kvs::format::salvage;
use crate::engine::kvs::format::segment::{HEADER_LEN, Origin, Segment};
use crate::error::Result;

/// Copies every damaged file to another name and returns the paths of the copies.
pub(super) fn keep_damaged_files(dir: LogDir<'_>, survey: &Survey) -> Result<Vec<PathBuf>> {
    let damaged = survey.damaged.iter().map(|n| &survey.segments[n]);
    damaged
        .map(|segment| salvage::quarantine(dir, segment, 0, segment.len()?, "damaged"))
        .collect()
}

/// Replaces the log by one compacted segment with the newest sound record of each key. A crash
/// leaves the old log or the new one.
pub(super) fn write_anew(dir: LogDir<'_>, survey: &Survey) -> Result<()> {
    let oldest = survey.segments.values().next();
    let salt = oldest.map_or_else(Salt::random, |segment| segment.salt);
    let newest = survey.segments.keys().next_back().copied();
    let generation = newest.unwrap_or(0) + 1;

    let alive = alive(survey);
    let last = alive.last().map_or(0, |(sequence, _)| *sequence);
    // The next write gets a number that is higher than that of any write, lost ones included.
    let origin = Origin::Compacted {
        after: 0,
        upto: survey.sequence.max(last),
    };
    let mut output = Output::new(Segment::create(dir, generation, origin, salt)?);
    // The file is still empty: until now, other users may have been able to read it.
    if let Some(replaced) = newest {
        dir.copy_access(&names::segment(replaced), &names::segment(generation))?;
    }
    for (sequence, location) in alive {
        output.copy(survey, sequence, location)?;
    }
    let segment = output.complete()?;
    // Hints with this name are those of another segment, which is gone.
    dir.remove(&names::hints(generation))?;
    dir.sync()?;
    segment.publish(dir)?;
    dir.sync()?;
    // The watermark is that of a replaced segment.
    dir.remove(names::WATERMARK)?;
    dir.sync()
}

/// Returns the locations of all values, in the order in which they were written, with sequence
/// numbers that rise.
fn alive(survey: &Survey) -> Vec<(u64, Location)> {
    let values = survey.newest.values();
    let mut alive: Vec<_> = values
        .filter_map(|newest| Some((newest.sequence, newest.location?)))
        .collect();
    alive.sort_unstable_by_key(|(sequence, at)| (*sequence, at.generation, at.offset));
    // In forged files, two records may have the same number.
    let mut last = 0;
    for (sequence, _) in &mut alive {
        *sequence = (*sequence).max(last + 1);
        last = *sequence;
    }
    alive
}

/// The new segment.
struct Output {
    segment: Segment,
    /// The number of bytes that are written.
    len: u64,
    /// The records that are not written yet.
    buffer: Vec<u8>,
    digest: Digest,
}

impl Output {
    fn new(segment: Segment) -> Output {
        Output {
            segment,
            len: HEADER_LEN,
            buffer: Vec::new(),
            digest: Digest::default(),
        }
    }

    /// Adds the record at `location`, with another sequence number.
    fn copy(&mut self, survey: &Survey, sequence: u64, location: Location) -> Result<()> {
        const BLOCK: usize = 1024 * 1024;
        let segment = &survey.segments[&location.generation];
        let bytes = segment.read(location.offset, location.len as usize)?;
        let record = segment.decode(&bytes, location.offset)?;
        let start = self.buffer.len();
        Record { sequence, ..record }.encode(self.segment.salt, &mut self.buffer);
        self.digest.add(&self.buffer[start..]);
        if self.buffer.len() >= BLOCK {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> Result<()> {
        self.segment.write(&self.buffer, self.len)?;
        self.len += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }

    /// Returns the segment, which is complete and on the disk.
    fn complete(mut self) -> Result<Segment> {
        self.flush()?;
        self.segment.complete(self.len, self.digest)?;
        self.segment.sync()?;
        Ok(self.segment)
    }
}
