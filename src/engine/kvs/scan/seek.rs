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

/// The number of bytes in which a search looks for the beginning of a record. Records that are
/// longer are not found, and then the search ends earlier in the log.
const WINDOW: u64 = 1024 * 1024;

/// A place in the log, between two records.
pub(super) struct Place {
    /// The generation at which the log began when the place was found. When it changes, the place is
    /// not in the log any more.
    pub(super) base: Generation,
    /// Reads the records behind the place.
    pub(super) scanner: Scanner,
}

impl Place {
    /// Returns the place behind the record of `cursor`, or one before that if it is not near the place
    /// in the cursor. Returns `None` if the cursor is one of another log.
    pub(super) fn of(cursor: &Cursor, index: &RwLock<Index>) -> Option<Place> {
        let index = index.read();
        let base = index.base();
        let hinted = index.segment(cursor.generation);
        let segment = index.segment_after(cursor.sequence);
        drop(index);
        let hinted = hinted.and_then(|segment| {
            let header = header_at(&segment, cursor.offset)?;
            let record = (cursor.offset, header);
            (header.sequence <= cursor.sequence).then_some((segment, Some(record)))
        });
        let (segment, before) = hinted.unwrap_or_else(|| {
            let before = search(&segment, cursor.sequence);
            (segment, before)
        });
        let Committed { segment, end } = segment;
        let scanner = match before {
            None => Scanner::new(segment, end),
            Some((_, header)) if cursor.contradicts(header.sequence, header.body) => return None,
            Some((offset, header)) => {
                let next = offset + header.record_len() as u64;
                Scanner::resume(segment, end, next, header.sequence)
            }
        };
        Some(Place { base, scanner })
    }
}

/// Returns a late record of `segment` that is not after the write `sequence`, by a binary search.
/// Returns `None` if the first record is near enough.
///
/// The place of a record is not known, but a sound record can be told from all other bytes, as in
/// the search for sound records in a damaged segment.
fn search(segment: &Committed, sequence: u64) -> Option<(u64, Header)> {
    let mut found = None;
    let (mut low, mut high) = (segment.segment.start, segment.end);
    while high.saturating_sub(low) > NEAR {
        let middle = low + (high - low) / 2;
        let window = high.min(middle + WINDOW);
        // Damage is for the scan to find, when it comes there.
        let next = salvage::find_readable_record(&segment.segment, middle, window);
        match next.and_then(|next| Some((next, header_at(segment, next)?))) {
            Some((next, header)) if header.sequence <= sequence => {
                low = next;
                found = Some((next, header));
            }
            _ => high = middle,
        }
    }
    found
}

/// Returns the header of the record at `offset`, or `None` if no record begins there. The offset may
/// be any number.
fn header_at(segment: &Committed, offset: u64) -> Option<Header> {
    let last = segment.end.checked_sub(HEADER_LEN as u64)?;
    if !(segment.segment.start..=last).contains(&offset) {
        return None;
    }
    let bytes = segment.segment.read(offset, HEADER_LEN).ok()?;
    let header = Header::decode(bytes.first_chunk()?, segment.segment.salt).ok()?;
    (header.record_len() as u64 <= segment.end - offset).then_some(header)
}
