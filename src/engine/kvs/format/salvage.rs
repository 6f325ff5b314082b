//! Finds the sound records in a damaged segment, and keeps copies of the damaged bytes.

use std::path::PathBuf;

use super::dir::LogDir;
use super::names;
use super::record::{self, Record, Salt};
use super::segment::{HEADER_LEN, HEADER_LENS, Segment};
use crate::error::{KvsError, Result};

/// Bytes of a disk that fail together.
const SECTOR: u64 = 4096;

/// Returns the offset of the first sound record that begins between `start` and `end`.
pub(crate) fn find_record(segment: &Segment, start: u64, end: u64) -> Result<Option<u64>> {
    find(segment, start, end, Err)
}

/// Returns the offset of the first sound record that begins between `start` and `end`. Skips bytes
/// that the disk cannot read.
pub(crate) fn find_readable_record(segment: &Segment, start: u64, end: u64) -> Option<u64> {
    find(segment, start, end, |_| Ok(())).unwrap_or_default()
}

fn find(
    segment: &Segment,
    start: u64,
    end: u64,
    unreadable: impl Fn(KvsError) -> Result<()>,
) -> Result<Option<u64>> {
    let mut block = 1024 * 1024;
    let mut offset = start;
    while offset + record::HEADER_LEN as u64 <= end {
        // Blocks overlap, so that each has the whole header of each record that begins in it.
        let len = (block + record::HEADER_LEN as u64 - 1).min(end - offset);
        match segment.read(offset, len as usize) {
            Ok(bytes) => {
                let places = 0..=bytes.len() - record::HEADER_LEN;
                let is_record =
                    |at: &usize| is_record(segment, &bytes[*at..], offset + *at as u64, end);
                if let Some(at) = places.clone().find(is_record) {
                    return Ok(Some(offset + at as u64));
                }
                offset += places.count() as u64;
            }
            Err(error) => {
                unreadable(error)?;
                // From here on, each read is one sector, so that only the bad ones are skipped.
                if block == SECTOR {
                    offset = (offset / SECTOR + 1) * SECTOR;
                }
                block = SECTOR;
            }
        }
    }
    Ok(None)
}

/// Returns whether a sound record begins at `offset`, where the file has `bytes`.
fn is_record(segment: &Segment, bytes: &[u8], offset: u64, end: u64) -> bool {
    let header = bytes.first_chunk();
    // Almost no offset gets past the checksum of the header, so the whole record is seldom read.
    let Some(Ok(header)) = header.map(|bytes| record::Header::decode(bytes, segment.salt)) else {
        return false;
    };
    offset + header.record_len() as u64 <= end
        && segment
            .read(offset, header.record_len())
            .is_ok_and(|bytes| Record::decode(&bytes, segment.salt).is_ok())
}

/// Replaces a damaged header by a guess: finds out where the records begin. If no record is sound
/// with the salt that the header has, uses `salt`.
pub(crate) fn guess_header(segment: &mut Segment, salt: Option<Salt>) -> Result<()> {
    let end = segment.len()?;
    let mut first = find_readable_record(segment, HEADER_LENS[0], end);
    if let (None, Some(salt)) = (first, salt) {
        segment.salt = salt;
        first = find_readable_record(segment, HEADER_LENS[0], end);
    }
    segment.start = first
        .filter(|at| HEADER_LENS.contains(at))
        .unwrap_or(HEADER_LEN);
    Ok(())
}

/// Copies the bytes between `start` and `end` to a file beside the log and returns its path. The
/// name of the file says `why` they are there. Bytes that the disk cannot read become zeros.
pub(crate) fn quarantine(
    dir: LogDir<'_>,
    segment: &Segment,
    start: u64,
    end: u64,
    why: &str,
) -> Result<PathBuf> {
    let original = names::segment(segment.generation);
    let taken = dir.list()?;
    let mut names = (1..).map(|n| format!("{original}.{why}{n}"));
    let name = names.find(|name| !taken.contains(name));
    let name = name.expect("some number is free");
    let copy = dir.create(&name)?;
    // The file is still empty: until now, other users may have been able to read it.
    dir.copy_access(&original, &name)?;
    let mut offset = start;
    while offset < end {
        let len = SECTOR.min(end - offset) as usize;
        if let Ok(bytes) = segment.read(offset, len) {
            copy.write(&bytes, offset - start)?;
        }
        offset += len as u64;
    }
    copy.sync()?;
    dir.publish(&name)?;
    dir.sync()?;
    Ok(dir.path_of(&name))
}
