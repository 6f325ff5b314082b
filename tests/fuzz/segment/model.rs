//! The contents that a store should have on any files.

use std::collections::{BTreeMap, BTreeSet};

use super::format::{
    HINTS_START, RECORD_START, Record, record, segment_start, spans, sum, u32_at, u64_at,
};
use super::{Contents, Files};
use crate::fuzz::disk::Disk;

/// Every value that a sound record anywhere gives to a key, and the keys that are only in hints.
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

/// The segments that have a header. Those that have none are older than a compacted one, or the
/// store would not have opened.
fn segments(files: &Files) -> impl Iterator<Item = &Vec<u8>> {
    let segments = files.iter().filter(|(name, _)| name.ends_with(".segment"));
    segments
        .map(|(_, bytes)| bytes)
        .filter(|bytes| bytes.len() >= segment_start(bytes))
}

/// What is in a log that a store has opened, without hints.
pub fn replay(files: &Files) -> Contents {
    let mut contents = Contents::new();
    for bytes in segments(files) {
        let (salt, sequence) = (u32_at(bytes, 20), u64_at(bytes, 24));
        let upto = (u64_at(bytes, 32) != 0).then_some(sequence);
        let mut last = match upto {
            Some(_) => 0,
            None => sequence,
        };
        if upto.is_some() {
            contents.clear();
        }
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

/// Whether so many writes are claimed that those to come would soon have impossible numbers.
pub fn has_nearly_counted_to_the_end(files: &Files) -> bool {
    segments(files).any(|bytes| u64_at(bytes, 24) > u64::MAX / 4)
}

/// Whether there is a checkpoint that the store has believed: it would have removed another one.
pub fn has_checkpoint(disk: &Disk) -> bool {
    disk.names().contains(&"kvs-checkpoint".to_owned())
}

/// Whether hints that look right are not those of their segment.
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
