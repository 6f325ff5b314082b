//! The format of the files, as `docs/format.md` describes it. The store has its own code for it.

use std::ops::Range;

pub const HINTS_START: usize = 56;
pub const CHECKPOINT_START: usize = 72;
pub const WATERMARK_LEN: usize = 72;
pub const RECORD_START: usize = 24;
pub const TOMBSTONE: u32 = u32::MAX;

pub fn generation(name: &str, extension: &str) -> Option<u32> {
    name.strip_suffix(extension)?.parse().ok()
}

/// Returns the format of a segment. Any number that is none counts as format 1.
pub fn version(segment: &[u8]) -> u32 {
    let version = segment.get(8..12).map_or(1, |_| u32_at(segment, 8));
    if let 2 | 3 = version { version } else { 1 }
}

/// Returns whether the header of a segment has a digest.
pub fn has_digest(segment: &[u8]) -> bool {
    version(segment) >= 2
}

/// Returns the offset of the first record.
pub fn segment_start(segment: &[u8]) -> usize {
    [44, 48, 56][version(segment) as usize - 1]
}

/// Returns whether compaction has written a segment.
pub fn is_compacted(segment: &[u8]) -> bool {
    u64_at(segment, 32) != 0
}

/// Returns the number of the write before the first record of a segment.
pub fn before_first(segment: &[u8]) -> u64 {
    match (is_compacted(segment), version(segment)) {
        (false, _) => u64_at(segment, 24),
        (true, 3) => u64_at(segment, 44),
        (true, _) => 0,
    }
}

/// Returns the digest of the records of a segment that end at `end` or before.
pub fn digest(segment: &[u8], end: usize) -> u32 {
    let spans = spans(segment, segment_start(segment), true).into_iter();
    let sums = spans
        .take_while(|span| span.end <= end)
        .flat_map(|span| segment[span].iter().take(4).copied());
    crc32fast::hash(&sums.collect::<Vec<_>>())
}

/// Returns the ranges of the records, as their headers give the lengths. Hints are records without
/// values.
pub fn spans(bytes: &[u8], mut at: usize, have_values: bool) -> Vec<Range<usize>> {
    let mut spans = Vec::new();
    while at + RECORD_START <= bytes.len() {
        let value_len = match u32_at(bytes, at + 12) {
            len if have_values && len != TOMBSTONE => len,
            _ => 0,
        };
        let len = u64::from(u32_at(bytes, at + 8)) + u64::from(value_len) + RECORD_START as u64;
        if len > (bytes.len() - at) as u64 {
            break;
        }
        spans.push(at..at + len as usize);
        at += len as usize;
    }
    spans
}

/// A record of a segment.
pub struct Record<'a> {
    pub sequence: u64,
    pub key: &'a str,
    pub value: Option<&'a str>,
}

/// Returns the record that takes all of `bytes`, if it is sound in a segment with this salt.
pub fn record(bytes: &[u8], salt: u32) -> Option<Record<'_>> {
    let value_at = RECORD_START + u32_at(bytes, 8) as usize;
    let value = match u32_at(bytes, 12) {
        TOMBSTONE => None,
        _ => Some(str::from_utf8(&bytes[value_at..]).ok()?),
    };
    let is_sound = u32_at(bytes, 0) == salted(salt, &bytes[4..RECORD_START])
        && u32_at(bytes, 4) == crc32fast::hash(&bytes[RECORD_START..]);
    is_sound.then_some(Record {
        sequence: u64_at(bytes, 16),
        key: str::from_utf8(&bytes[RECORD_START..value_at]).ok()?,
        value,
    })
}

/// Writes the beginning that all files have in common, and at `end` the checksum of all before it.
pub fn begin(bytes: &mut [u8], magic: &[u8; 8], version: u32, end: usize) {
    put(bytes, 0, magic);
    put(bytes, 8, &version.to_le_bytes());
    sum_up(bytes, 0, end);
}

pub fn sum_up(bytes: &mut [u8], start: usize, end: usize) {
    let checksum = crc32fast::hash(&bytes[start..end]);
    put(bytes, end, &checksum.to_le_bytes());
}

pub fn salted(salt: u32, bytes: &[u8]) -> u32 {
    crc32fast::hash(&[&salt.to_le_bytes(), bytes].concat())
}

/// Writes the checksum at the head of a hint.
pub fn sum(record: &mut [u8]) {
    let checksum = crc32fast::hash(&record[4..]);
    put(record, 0, &checksum.to_le_bytes());
}

pub fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    bytes[at..at + new.len()].copy_from_slice(new);
}

pub fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

pub fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}
