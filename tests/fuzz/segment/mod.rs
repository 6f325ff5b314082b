//! Any bytes as the files of a store.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use kvs::engine::files::Directory;
use kvs::engine::{self, KvStoreOptions, SyncLevel};
use kvs::{KvStore, KvsEngine, KvsError};

use crate::fuzz::disk::Disk;
use crate::fuzz::later::{Later, done, run_job};

/// The files that an input can hold.
const NAMES: [&str; 9] = [
    "0000000001.segment",
    "0000000001.hints",
    "0000000002.segment",
    "0000000002.hints",
    "0000000003.segment",
    "0000000003.segment.unfinished",
    "0000000004.segment",
    "kvs-synced",
    "kvs-checkpoint",
];

/// What comes before each file of an input. A byte that chooses its name follows, then its bytes.
const SEPARATOR: &[u8] = b"\n--\n";

const HINTS_START: usize = 56;
const CHECKPOINT_START: usize = 72;
const WATERMARK_LEN: usize = 72;
const RECORD_START: usize = 24;
const TOMBSTONE: u32 = u32::MAX;

type Files = BTreeMap<String, Vec<u8>>;
type Contents = BTreeMap<String, String>;

/// The first byte of the input says how to treat the rest, which are files.
///
/// A store opens on them or refuses to, and then has changed nothing. Where it opens, what it reads
/// is what a sound record says, and stays the same whatever happens in the background.
pub fn segment(input: &[u8]) {
    let Some((flags, rest)) = input.split_first() else {
        return;
    };
    let flag = |n: u8| flags & (1 << n) != 0;
    let mut files = split(rest);
    if flag(0) {
        repair(&mut files, flag(1), flag(2).then(|| Disk::default().boot()));
    }
    let options = KvStore::<Later>::options()
        .sync(match flag(3) {
            true => SyncLevel::Always,
            false => SyncLevel::Never,
        })
        .segment_bytes([60, 200, 1000, 1 << 20][usize::from(flags >> 4 & 3)])
        .dead_bytes([1, 50, 300, u64::MAX][usize::from(flags >> 6)]);
    check(&files, &options);
}

fn check(files: &Files, options: &KvStoreOptions) {
    let disk = Disk::with(files.iter().map(|(name, bytes)| (&**name, &**bytes)));
    let open = |disk: &Disk| options.open_in::<Later>(disk.clone(), 1);
    let report = engine::verify(&disk, &mut |_, _| {});
    assert_eq!(files_on(&disk), *files);
    let store = match open(&disk) {
        Ok(store) => store,
        Err(error) => {
            if let Ok(report) = report {
                assert!(!report.is_sound(), "{error}");
                let repaired = disk.copy();
                engine::repair(&repaired, &mut |_, _| {}).unwrap();
                close(open(&repaired).unwrap());
                let report = engine::verify(&repaired, &mut |_, _| {}).unwrap();
                assert!(report.is_sound(), "{report}");
            }
            assert!(matches!(
                error,
                KvsError::Damaged { .. } | KvsError::UnknownVersion { .. }
            ));
            assert_eq!(files_on(&disk), *files, "{error}");
            assert_eq!(open(&disk).unwrap_err().to_string(), error.to_string());
            return;
        }
    };
    let all = all_records(files);
    let check_values = |store: &KvStore<Later>| {
        for key in all.keys() {
            if let Ok(Some(value)) = done(store.get(key.clone())) {
                assert!(all[key].contains(&value), "{key:?} has never had {value:?}");
            }
        }
    };
    check_values(&store);

    // What comes of writing on, where hints or a checkpoint lie, nobody can tell without reading the
    // segments, and to save that is what they are for.
    if have_false_hints(files) || has_nearly_counted_to_the_end(files) {
        return;
    }
    if has_checkpoint(&disk) {
        let _ = done(store.set("new".to_owned(), "fuzzed".to_owned()));
        close(store);
        return;
    }
    let mut contents = replay(files);
    let check = |store: &KvStore<Later>, contents: &Contents| {
        for key in all.keys().chain(contents.keys()) {
            assert_eq!(
                done(store.get(key.clone())).unwrap().as_ref(),
                contents.get(key)
            );
        }
    };
    check(&store, &contents);
    done(store.set("new".to_owned(), "fuzzed".to_owned())).unwrap();
    contents.insert("new".to_owned(), "fuzzed".to_owned());
    check(&store, &contents);
    finish();
    check(&store, &contents);
    close(store);

    let without_hints = files_on(&disk)
        .into_iter()
        .filter(|(name, _)| !name.ends_with(".hints"))
        .collect::<Files>();
    assert_eq!(replay(&without_hints), contents);
    let store = open(&disk).unwrap();
    check(&store, &contents);
    finish();
    check(&store, &contents);
    close(store);
}

/// Runs everything there is to do in the background, which has to come to an end.
fn finish() {
    for _ in 0..100_000 {
        if !run_job() {
            return;
        }
    }
    panic!("there is always more to do");
}

fn close(store: KvStore<Later>) {
    finish();
    drop(store);
}

fn files_on(disk: &Disk) -> Files {
    let names = disk.names().into_iter();
    names
        .map(|name| (name.clone(), disk.bytes(&name)))
        .collect()
}

fn split(mut input: &[u8]) -> Files {
    let mut files = Files::new();
    while let Some((choice, rest)) = input.split_first() {
        let end = rest.windows(SEPARATOR.len()).position(|at| at == SEPARATOR);
        let bytes = &rest[..end.unwrap_or(rest.len())];
        files.insert(
            NAMES[usize::from(*choice) % NAMES.len()].to_owned(),
            bytes.to_vec(),
        );
        input = end.map_or(&[], |end| &rest[end + SEPARATOR.len()..]);
    }
    files
}

/// Puts right what chance hardly ever does: the beginnings of the files and all checksums and,
/// where `numbers` are wanted too, what says that records and files come one after the other.
fn repair(files: &mut Files, numbers: bool, boot: Option<String>) {
    let mut last = 0_u64;
    let mut before = 0;
    let mut segments = BTreeMap::new();
    for (name, bytes) in files.iter_mut() {
        let Some(generation) = generation(name, ".segment") else {
            continue;
        };
        if bytes.len() < segment_start(bytes) {
            continue;
        }
        let records = spans(bytes, segment_start(bytes), true);
        let is_compacted = u64_at(bytes, 32) != 0;
        if is_compacted {
            let len = bytes.len() as u64;
            put(bytes, 32, &len.to_le_bytes());
        }
        let salt = u32_at(bytes, 20);
        let start = if is_compacted { 0 } else { last };
        if numbers && !is_compacted {
            put(bytes, 24, &start.to_le_bytes());
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
        let version = if has_digest(bytes) { 2 } else { 1 };
        begin(bytes, b"kvs-log\n", version, 12);
        put(bytes, 16, &generation.to_le_bytes());
        let own = digest(bytes, bytes.len());
        if has_digest(bytes) {
            let told = if is_compacted { own } else { before };
            put(bytes, 40, &told.to_le_bytes());
        }
        before = own;
        let checksum_at = segment_start(bytes) - 4;
        sum_up(bytes, 16, checksum_at);
        segments.insert(generation, (bytes.clone(), last));
    }
    for (name, bytes) in files.iter_mut() {
        if let Some(generation) = generation(name, ".hints")
            && bytes.len() >= HINTS_START
            && let Some((segment, last)) = segments.get(&generation)
        {
            let len = bytes.len() as u64;
            put(bytes, 12, &generation.to_le_bytes());
            put(bytes, 16, &segment[20..24]);
            put(bytes, 20, &(segment_start(segment) as u32).to_le_bytes());
            put(bytes, 24, &(segment.len() as u64).to_le_bytes());
            put(bytes, 32, &len.to_le_bytes());
            if numbers {
                put(bytes, 40, &last.to_le_bytes());
            }
            put(bytes, 48, &digest(segment, segment.len()).to_le_bytes());
            for span in spans(bytes, HINTS_START, false) {
                sum(&mut bytes[span]);
            }
            begin(bytes, b"kvs-hnt\n", 2, HINTS_START - 4);
        }
        if name == "kvs-checkpoint" && bytes.len() >= CHECKPOINT_START {
            begin(bytes, b"kvs-chk\n", 2, CHECKPOINT_START - 4);
            let start = bytes[..CHECKPOINT_START].to_vec();
            let mut at = CHECKPOINT_START;
            while at + 8 <= bytes.len() {
                let end = at + 8 + u32_at(bytes, at) as usize;
                let Some(block) = bytes.get_mut(at + 8..end) else {
                    break;
                };
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
        if name == "kvs-synced" && bytes.len() >= WATERMARK_LEN {
            if let Some(boot) = &boot {
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
    }
}

/// Returns whether a segment is of format 2, whose headers have a digest. Any other counts as
/// format 1.
fn has_digest(segment: &[u8]) -> bool {
    segment.len() >= 12 && u32_at(segment, 8) == 2
}

/// Returns the offset of the first record.
fn segment_start(segment: &[u8]) -> usize {
    if has_digest(segment) { 48 } else { 44 }
}

/// Returns the digest of the records of a segment that end at `end` or before.
fn digest(segment: &[u8], end: usize) -> u32 {
    let spans = spans(segment, segment_start(segment), true).into_iter();
    let sums = spans
        .take_while(|span| span.end <= end)
        .flat_map(|span| segment[span].iter().take(4).copied());
    crc32fast::hash(&sums.collect::<Vec<_>>())
}

/// Writes what all the files begin with, and a checksum of all up to `end` behind that.
fn begin(bytes: &mut [u8], magic: &[u8; 8], version: u32, end: usize) {
    put(bytes, 0, magic);
    put(bytes, 8, &version.to_le_bytes());
    sum_up(bytes, 0, end);
}

fn sum_up(bytes: &mut [u8], start: usize, end: usize) {
    let checksum = crc32fast::hash(&bytes[start..end]);
    put(bytes, end, &checksum.to_le_bytes());
}

fn salted(salt: u32, bytes: &[u8]) -> u32 {
    crc32fast::hash(&[&salt.to_le_bytes(), bytes].concat())
}

/// Writes the checksum at the head of a hint.
fn sum(record: &mut [u8]) {
    let checksum = crc32fast::hash(&record[4..]);
    put(record, 0, &checksum.to_le_bytes());
}

fn put(bytes: &mut [u8], at: usize, new: &[u8]) {
    bytes[at..at + new.len()].copy_from_slice(new);
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().unwrap())
}

fn generation(name: &str, extension: &str) -> Option<u32> {
    name.strip_suffix(extension)?.parse().ok()
}

/// Where the records are, by what they say of their lengths, or the hints, which have no values.
fn spans(bytes: &[u8], mut at: usize, have_values: bool) -> Vec<Range<usize>> {
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

/// A record as the format describes it.
struct Record<'a> {
    sequence: u64,
    key: &'a str,
    value: Option<&'a str>,
}

/// The sound record in `bytes`, all of them, in a segment of that salt.
fn record(bytes: &[u8], salt: u32) -> Option<Record<'_>> {
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

/// Every value that a sound record anywhere gives to a key, and the keys that are only in hints.
fn all_records(files: &Files) -> BTreeMap<String, BTreeSet<String>> {
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
fn replay(files: &Files) -> Contents {
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
fn has_nearly_counted_to_the_end(files: &Files) -> bool {
    segments(files).any(|bytes| u64_at(bytes, 24) > u64::MAX / 4)
}

/// Whether there is a checkpoint that the store has believed: it would have removed another one.
fn has_checkpoint(disk: &Disk) -> bool {
    disk.names().contains(&"kvs-checkpoint".to_owned())
}

/// Whether hints that look right are not those of their segment.
fn have_false_hints(files: &Files) -> bool {
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
