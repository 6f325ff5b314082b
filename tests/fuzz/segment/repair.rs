//! Corrects checksums and numbers, which random bytes hardly ever have right.

use std::collections::BTreeMap;

use super::Files;
use super::format::{
    CHECKPOINT_START, HINTS_START, RECORD_START, WATERMARK_LEN, before_first, begin, digest,
    generation, has_digest, is_compacted, put, salted, segment_start, spans, sum, sum_up, u32_at,
    u64_at, version,
};

/// The repaired segments by generation, and the last sequence number of each.
type Segments = BTreeMap<u32, (Vec<u8>, u64)>;

/// Corrects the beginnings of the files and all checksums. If `numbers` is true, also corrects the
/// numbers that connect a record or a file with the one before it. If there is a `boot`, the
/// watermark is of that start of the machine.
pub fn repair(files: &mut Files, numbers: bool, boot: Option<String>) {
    let segments = repair_segments(files, numbers);
    for (name, bytes) in files.iter_mut() {
        if let Some(generation) = generation(name, ".hints")
            && let Some((segment, last)) = segments.get(&generation)
        {
            repair_hints(bytes, generation, segment, numbers.then_some(*last));
        }
        if name == "kvs-checkpoint" {
            repair_checkpoint(bytes, &segments);
        }
        if name == "kvs-synced" {
            repair_watermark(bytes, &segments, boot.as_deref());
        }
    }
}

fn repair_segments(files: &mut Files, numbers: bool) -> Segments {
    let mut last = 0_u64;
    let mut before = 0;
    let mut segments = Segments::new();
    for (name, bytes) in files.iter_mut() {
        let Some(generation) = generation(name, ".segment") else {
            continue;
        };
        if bytes.len() < segment_start(bytes) {
            continue;
        }
        last = repair_records(bytes, last, numbers);
        let version = version(bytes);
        begin(bytes, b"kvs-log\n", version, 12);
        put(bytes, 16, &generation.to_le_bytes());
        let own = digest(bytes, bytes.len());
        if has_digest(bytes) {
            let told = if is_compacted(bytes) { own } else { before };
            put(bytes, 40, &told.to_le_bytes());
        }
        before = own;
        let checksum_at = segment_start(bytes) - 4;
        sum_up(bytes, 16, checksum_at);
        segments.insert(generation, (bytes.clone(), last));
    }
    segments
}

/// Corrects the records of a segment, and the length and the sequence number in its header. Returns
/// the last sequence number so far.
fn repair_records(bytes: &mut [u8], mut last: u64, numbers: bool) -> u64 {
    let records = spans(bytes, segment_start(bytes), true);
    let is_compacted = is_compacted(bytes);
    if is_compacted {
        let len = bytes.len() as u64;
        put(bytes, 32, &len.to_le_bytes());
    }
    let salt = u32_at(bytes, 20);
    let start = if is_compacted {
        before_first(bytes).min(last)
    } else {
        last
    };
    if numbers && !is_compacted {
        put(bytes, 24, &start.to_le_bytes());
    } else if numbers && version(bytes) == 3 {
        put(bytes, 44, &start.to_le_bytes());
    }
    for (span, sequence) in records.into_iter().zip(start + 1..) {
        if numbers {
            put(bytes, span.start + 16, &sequence.to_le_bytes());
            last = sequence;
        }
        let record = &mut bytes[span];
        let body = crc32fast::hash(&record[RECORD_START..]);
        put(record, 4, &body.to_le_bytes());
        let checksum = salted(salt, &record[4..RECORD_START]);
        put(record, 0, &checksum.to_le_bytes());
    }
    if numbers && is_compacted {
        last = last.max(u64_at(bytes, 24).min(u64::MAX / 2));
        put(bytes, 24, &last.to_le_bytes());
    }
    last
}

fn repair_hints(bytes: &mut [u8], generation: u32, segment: &[u8], last: Option<u64>) {
    if bytes.len() < HINTS_START {
        return;
    }
    let len = bytes.len() as u64;
    put(bytes, 12, &generation.to_le_bytes());
    put(bytes, 16, &segment[20..24]);
    put(bytes, 20, &(segment_start(segment) as u32).to_le_bytes());
    put(bytes, 24, &(segment.len() as u64).to_le_bytes());
    put(bytes, 32, &len.to_le_bytes());
    if let Some(last) = last {
        put(bytes, 40, &last.to_le_bytes());
    }
    put(bytes, 48, &digest(segment, segment.len()).to_le_bytes());
    for span in spans(bytes, HINTS_START, false) {
        sum(&mut bytes[span]);
    }
    begin(bytes, b"kvs-hnt\n", 2, HINTS_START - 4);
}

fn repair_checkpoint(bytes: &mut [u8], segments: &Segments) {
    if bytes.len() < CHECKPOINT_START {
        return;
    }
    begin(bytes, b"kvs-chk\n", 2, CHECKPOINT_START - 4);
    let start = bytes[..CHECKPOINT_START].to_vec();
    let mut at = CHECKPOINT_START;
    while at + 8 <= bytes.len() {
        let end = at + 8 + u32_at(bytes, at) as usize;
        let Some(block) = bytes.get_mut(at + 8..end) else {
            break;
        };
        // The first block lists the segments that the checkpoint covers.
        if at == CHECKPOINT_START {
            for entry in block.chunks_exact_mut(16) {
                if let Some((segment, _)) = segments.get(&u32_at(entry, 0)) {
                    let digest = digest(segment, segment.len());
                    put(entry, 12, &digest.to_le_bytes());
                }
            }
        }
        let checksum = crc32fast::hash(&[&start, &*block].concat());
        put(bytes, at + 4, &checksum.to_le_bytes());
        at = end;
    }
}

fn repair_watermark(bytes: &mut [u8], segments: &Segments, boot: Option<&str>) {
    if bytes.len() < WATERMARK_LEN {
        return;
    }
    if let Some(boot) = boot {
        put(bytes, 24, &[0; 36]);
        put(bytes, 24, boot.as_bytes());
    }
    if let Some((segment, _)) = segments.get(&u32_at(bytes, 12)) {
        let digest = digest(segment, u64_at(bytes, 16) as usize);
        put(bytes, 60, &segment[20..24]);
        put(bytes, 64, &digest.to_le_bytes());
    }
    begin(bytes, b"kvs-syn\n", 2, WATERMARK_LEN - 4);
}
