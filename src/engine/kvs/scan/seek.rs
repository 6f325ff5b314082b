//! Finding the place in the log at which a scan continues.

use super::cursor::Cursor;
use crate::engine::kvs::format::names::Generation;
use crate::engine::kvs::format::record::{HEADER_LEN, Header};
use crate::engine::kvs::format::salvage;
use crate::engine::kvs::format::scanner::Scanner;
use crate::engine::kvs::index::{Committed, Index};
use crate::sync::RwLock;

/// A part of the log that is short enough to be read instead of searched.
const NEAR: u64 = 256 * 1024;

/// The numbers of bytes in which a search looks for a whole record. The second one is tried if the
/// first has none. Longer records are not found, and then the search ends earlier in the log.
const WINDOWS: [u64; 2] = [16 * 1024, 256 * 1024];

/// The number of records that are passed without reading their values. It is worth it for those
/// that a search does not find.
const MAX_STEPS: usize = 256;

/// A place in the log, between two records.
pub(super) struct Place {
    /// The output of the last compaction when the place was found. When it changes, the place may
    /// not be in the log any more.
    pub(super) base: Generation,
    /// Reads the records after the place.
    pub(super) scanner: Scanner,
}

/// The beginning of a record that a scan has passed.
#[derive(Clone, Copy)]
struct Passed {
    offset: u64,
    header: Header,
}

impl Place {
    /// Returns the place after the record of `cursor`, or one before it if that record is not near
    /// the place in the cursor. Returns `None` if the cursor is one of another log.
    pub(super) fn of(cursor: &Cursor, index: &RwLock<Index>) -> Option<Place> {
        // All of this under one lock, so that the log is that of `base`.
        let index = index.read();
        let base = index.base();
        let hinted = index.segment(cursor.generation);
        let segment = index.segment_after(cursor.sequence);
        drop(index);
        let hinted = hinted.and_then(|segment| {
            let passed = Passed::at(&segment, cursor.offset, cursor.sequence)?;
            Some((segment, Some(passed)))
        });
        let (segment, found) = hinted.unwrap_or_else(|| {
            let found = search(&segment, cursor.sequence);
            (segment, found)
        });
        let passed = walk(&segment, found, cursor.sequence);
        let Committed { segment, end } = segment;
        let scanner = match passed {
            None => Scanner::new(segment, end),
            Some(Passed { header, .. }) if cursor.contradicts(header.sequence, header.body) => {
                return None;
            }
            Some(passed) => Scanner::resume(segment, end, passed.end(), passed.header.sequence),
        };
        Some(Place { base, scanner })
    }
}

impl Passed {
    /// Returns the record that begins at `offset`, which may be any number. Returns `None` if there
    /// is none, or if it is after the write `sequence`.
    fn at(segment: &Committed, offset: u64, sequence: u64) -> Option<Passed> {
        let Committed { segment, end } = segment;
        let last = end.checked_sub(HEADER_LEN as u64)?;
        if !(segment.start..=last).contains(&offset) {
            return None;
        }
        let bytes = segment.read(offset, HEADER_LEN).ok()?;
        let header = Header::decode(bytes.first_chunk()?, segment.salt).ok()?;
        // A hint may be of an older log, in which another record began here.
        let is_passed = header.sequence <= sequence && header.record_len() as u64 <= end - offset;
        is_passed.then_some(Passed { offset, header })
    }

    fn end(&self) -> u64 {
        self.offset + self.header.record_len() as u64
    }
}

/// Returns a late record of `segment` that is not after the write `sequence`, by a binary search.
/// Returns `None` if the first record is near enough.
///
/// The places of the records are not known, but a sound record can be told from all other bytes, as
/// in the search for sound records in a damaged segment.
fn search(segment: &Committed, sequence: u64) -> Option<Passed> {
    let file = &segment.segment;
    let mut found = None;
    let (mut low, mut high) = (file.start, segment.end);
    while high.saturating_sub(low) > NEAR && sequence > file.origin.before_first() {
        let middle = low + (high - low) / 2;
        // Damage is left to the scan, which reports it when it arrives there.
        let next = WINDOWS
            .into_iter()
            .find_map(|len| salvage::find_readable_record(file, middle, high.min(middle + len)));
        match next.and_then(|next| Passed::at(segment, next, sequence)) {
            Some(passed) => {
                low = passed.offset;
                found = Some(passed);
            }
            // If there is no record to be found, this loses nothing but time.
            None => high = middle,
        }
    }
    found
}

/// Returns a record after `passed` that is not after the write `sequence`, or `passed` itself.
fn walk(segment: &Committed, mut passed: Option<Passed>, sequence: u64) -> Option<Passed> {
    let origin = segment.segment.origin;
    for _ in 0..MAX_STEPS {
        let last = passed.map_or(origin.before_first(), |passed| passed.header.sequence);
        if last == sequence {
            break;
        }
        let next = passed.map_or(segment.segment.start, |passed| passed.end());
        let Some(next) = Passed::at(segment, next, sequence) else {
            break;
        };
        passed = Some(next);
    }
    passed
}
