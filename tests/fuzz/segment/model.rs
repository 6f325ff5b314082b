//! The contents that a store should have on any files.

use std::collections::{BTreeMap, BTreeSet};

use super::format::{
    HINTS_START, RECORD_START, Record, before_first, is_compacted, record, segment_start, spans,
    sum, u32_at, u64_at,
};
use super::{Contents, Files};
use crate::fuzz::disk::Disk;

/// Returns every value that a sound record anywhere gives to a key. A key that only hints have gets
/// no values.
pub fn all_records(files: &Files) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::<String, BTreeSet<String>>::new();
    for (name, bytes) in files {
        for at in 0..bytes.len() {
            let have_values = !name.ends_with(".hints");
            let Some(span) = spans(bytes, at, have_values).into_iter().next() else {
                continue;
            };
            if have_values {
                if bytes.len() >= segment_start(bytes)
                    && let Some(Record { key, value, .. }) = record(&bytes[span], u32_at(bytes, 20))
                {
                    let values = all.entry(key.to_owned()).or_default();
                    values.extend(value.map(str::to_owned));
                }
            } else if let Ok(key) = str::from_utf8(&bytes[span][RECORD_START..]) {
                all.entry(key.to_owned()).or_default();
            }
        }
    }
    all
}

/// Returns the segments that have a header. If a store has opened, a compacted segment replaces
/// those without one.
fn segments(files: &Files) -> impl Iterator<Item = &Vec<u8>> {
    let segments = files.iter().filter(|(name, _)| name.ends_with(".segment"));
    segments
        .map(|(_, bytes)| bytes)
        .filter(|bytes| bytes.len() >= segment_start(bytes))
}

/// Returns the contents of a log that a store has opened, from the segments alone.
pub fn replay(files: &Files) -> Contents {
    let mut log = Vec::<&Vec<u8>>::new();
    for bytes in segments(files) {
        if is_compacted(bytes) {
            log.retain(|older| before_first(older) < before_first(bytes));
        }
        log.push(bytes);
    }
    let mut contents = Contents::new();
    for bytes in log {
        let salt = u32_at(bytes, 20);
        let upto = is_compacted(bytes).then(|| u64_at(bytes, 24));
        let mut last = before_first(bytes);
        for span in spans(bytes, segment_start(bytes), true) {
            let Some(record) = record(&bytes[span], salt) else {
                break;
            };
            let is_in_order = match upto {
                Some(upto) => last < record.sequence && record.sequence <= upto,
                None => record.sequence.checked_sub(last) == Some(1),
            };
            if !is_in_order {
                break;
            }
            last = record.sequence;
            match record.value {
                Some(value) => contents.insert(record.key.to_owned(), value.to_owned()),
                None => contents.remove(record.key),
            };
        }
    }
    contents
}

/// Returns whether sequence numbers are about to run out.
pub fn has_nearly_counted_to_the_end(files: &Files) -> bool {
    segments(files).any(|bytes| u64_at(bytes, 24) > u64::MAX / 4)
}

/// Returns whether the store has used a checkpoint. It would have removed an invalid one.
pub fn has_checkpoint(disk: &Disk) -> bool {
    disk.names().contains(&"kvs-checkpoint".to_owned())
}

/// Returns whether there are hints with a valid checksum that are not those of their segment.
pub fn have_false_hints(files: &Files) -> bool {
    files.iter().any(|(name, hints)| {
        let Some(segment) = name.strip_suffix(".hints") else {
            return false;
        };
        let checksum_at = HINTS_START - 4;
        if hints.len() < HINTS_START
            || u32_at(hints, checksum_at) != crc32fast::hash(&hints[..checksum_at])
        {
            return false;
        }
        let Some(segment) = files.get(&format!("{segment}.segment")) else {
            return false;
        };
        if segment.len() < segment_start(segment) {
            return true;
        }
        let mut expected = hints[..HINTS_START].to_vec();
        let mut end = segment_start(segment);
        for span in spans(segment, end, true) {
            if record(&segment[span.clone()], u32_at(segment, 20)).is_none() {
                return true;
            }
            let start = expected.len();
            let key_end = span.start + RECORD_START + u32_at(segment, span.start + 8) as usize;
            expected.extend(&segment[span.start..key_end]);
            sum(&mut expected[start..]);
            end = span.end;
        }
        end != segment.len() || expected != *hints
    })
}
