//! Hints, checkpoint and watermark beside a log that is not theirs: that of another store, or of
//! another history of the same store. Copies and backups can mix them. The store must ignore such
//! files, and must still open.

mod common;

use std::collections::BTreeMap;
use std::mem;

use common::disk::Disk;
use common::later::{Later, done, run_jobs, set};
use kvs::engine::{KvStoreOptions, SyncLevel, repair, verify};
use kvs::{KvStore, KvsEngine, KvsError};
use rand::SeedableRng;
use rand::rngs::SmallRng;

type Contents = BTreeMap<String, String>;

/// Returns options with small segments and without compaction.
fn options() -> KvStoreOptions {
    KvStore::<Later>::options()
        .segment_bytes(600)
        .dead_bytes(u64::MAX)
        .sync(SyncLevel::Never)
}

fn open(options: &KvStoreOptions, disk: &Disk) -> KvStore<Later> {
    options.open_in(disk.clone(), 1).unwrap()
}

/// Returns all values that are stored under `keys`.
fn contents<'a>(store: &KvStore<Later>, keys: impl IntoIterator<Item = &'a String>) -> Contents {
    let get = |key: &String| Some((key.clone(), done(store.get(key.clone())).unwrap()?));
    keys.into_iter().filter_map(get).collect()
}

/// Whether a store was closed, which leaves a checkpoint, or killed.
#[derive(Debug, Clone, Copy, PartialEq)]
enum End {
    Closed,
    Killed,
}

/// Writes some keys that begin with `prefix`, and at the end a long value that does not depend on
/// the prefix, so that all files end alike.
fn write(disk: &Disk, prefix: &str, end: End) -> Contents {
    let store = open(&options(), disk);
    let mut written: Contents = (0..40)
        .map(|n| (format!("{prefix}{n:02}"), format!("value {n:02}")))
        .collect();
    written.insert("z".to_owned(), "the same ".repeat(600));
    for (key, value) in &written {
        set(&store, key, value);
    }
    run_jobs();
    match end {
        End::Closed => drop(store),
        End::Killed => {
            disk.kill();
            mem::forget(store);
        }
    }
    written
}

/// Returns a store with its contents, and another store that differs only in its keys.
fn twins(of_one_store: bool, end: End) -> (Disk, Contents, Disk) {
    let ours = Disk::default();
    let mut expected = Contents::new();
    if of_one_store {
        let store = open(&options(), &ours);
        for n in 0..30 {
            let (key, value) = (format!("both{n}"), "of both".to_owned());
            set(&store, &key, &value);
            expected.insert(key, value);
        }
        run_jobs();
        ours.kill();
        mem::forget(store);
    }
    let theirs = ours.copy();
    expected.extend(write(&ours, "ours", end));
    write(&theirs, "them", end);
    let sizes = |disk: &Disk| {
        let names = disk.names().into_iter();
        let sizes = names.map(|name| (disk.bytes(&name).len(), name));
        sizes.collect::<Vec<_>>()
    };
    assert_eq!(sizes(&ours), sizes(&theirs));
    (ours, expected, theirs)
}

fn derived(disk: &Disk) -> Vec<String> {
    let mut names = disk.names();
    names.retain(|name| !name.ends_with(".segment"));
    names
}

#[test]
fn derived_files_of_another_log_change_nothing() {
    for (of_one_store, end) in [
        (false, End::Closed),
        (false, End::Killed),
        (true, End::Closed),
        (true, End::Killed),
    ] {
        let (ours, expected, theirs) = twins(of_one_store, end);
        let all = derived(&theirs);
        let has = |suffix: &str| all.iter().any(|name| name.ends_with(suffix));
        assert!(has(".hints") && has("kvs-synced"));
        assert_eq!(has("kvs-checkpoint"), end == End::Closed);
        let each = all.iter().map(|name| vec![name.clone()]);
        for names in each.chain([all.clone()]) {
            let disk = ours.copy();
            for name in &names {
                disk.put(name, &theirs.bytes(name));
            }
            let which = format!("{names:?} of the same store: {of_one_store}, {end:?}");
            let report = verify(&disk, &mut |_, _| {}).unwrap();
            assert!(report.is_sound(), "{which}: {report}");

            let keys = || expected.keys();
            let store = open(&options(), &disk);
            assert!(contents(&store, keys()) == expected, "{which}");
            drop(store);
            // Compaction drops the records that are not in the index.
            let store = open(&options().dead_bytes(1), &disk);
            let extra = "x".repeat(30_000);
            set(&store, "extra", &extra);
            set(&store, "extra", &extra);
            run_jobs();
            assert!(contents(&store, keys()) == expected, "{which}, compacted");
            drop(store);
            for name in derived(&disk) {
                disk.put(&name, b"");
            }
            let store = open(&options(), &disk);
            assert!(contents(&store, keys()) == expected, "{which}, log alone");
        }
    }
}

/// Hints without a segment do not mean that a segment is missing.
#[test]
fn hints_of_another_store_behind_the_end_of_the_log_are_no_damage() {
    let (ours, expected, theirs) = twins(false, End::Killed);
    let hints = derived(&theirs);
    let last = hints.iter().rfind(|name| name.ends_with(".hints")).unwrap();
    ours.put("0000000077.hints", &theirs.bytes(last));
    let report = verify(&ours, &mut |_, _| {}).unwrap();
    assert!(report.is_sound(), "{report}");
    let store = open(&options(), &ours);
    assert_eq!(contents(&store, expected.keys()), expected);
}

/// After a failed sync the system shows bytes that it will never write. The store writes them
/// again, unless the watermark says that they were on the disk. A watermark of another log must not
/// count.
#[test]
fn a_watermark_of_another_log_is_no_reason_not_to_write_again() {
    for of_one_store in [false, true] {
        for seed in 0..20 {
            let (ours, expected, theirs) = twins(of_one_store, End::Killed);
            let whole = options().segment_bytes(u64::MAX).sync(SyncLevel::Always);
            drop(open(&whole, &theirs));
            // The newest segment is synced last.
            let segments = ours.names().into_iter();
            let segments = segments.filter(|name| name.ends_with(".segment"));
            ours.fail_sync_after(segments.count() as u32 - 1);
            assert!(whole.open_in::<Later>(ours.clone(), 1).is_err());
            ours.put("kvs-synced", &theirs.bytes("kvs-synced"));
            let store = open(&whole, &ours);
            assert_eq!(contents(&store, expected.keys()), expected);
            ours.cut_power(&mut SmallRng::seed_from_u64(seed));
            mem::forget(store);
            let store = open(&whole, &ours);
            assert!(
                contents(&store, expected.keys()) == expected,
                "{of_one_store} {seed}"
            );
        }
    }
}

#[test]
fn a_compaction_with_damaged_hints_keeps_every_value() {
    let disk = Disk::default();
    let expected = write(&disk, "ours", End::Closed);
    let names = derived(&disk);
    let hints: Vec<_> = names.iter().filter(|it| it.ends_with(".hints")).collect();
    assert!(!hints.is_empty());
    let len = disk.bytes(hints[0]).len();
    for at in (0..len).step_by(37) {
        let disk = disk.copy();
        for name in &hints {
            let mut bytes = disk.bytes(name);
            let at = at.min(bytes.len() - 1);
            bytes[at] ^= 1;
            disk.put(name, &bytes);
        }
        // With the checkpoint, the keys are known, and opening reads only the headers of the hints.
        let store = open(&options().dead_bytes(1), &disk);
        for _ in 0..2 {
            set(&store, "extra", &"x".repeat(30_000));
        }
        run_jobs();
        let compacted = store.stats().seconds_since_compaction;
        assert!(compacted.is_some(), "no compaction with damage at {at}");
        assert!(
            contents(&store, expected.keys()) == expected,
            "damage at {at}"
        );
        drop(store);
    }
}

/// The newest segment of one history, followed by a header of another history.
#[test]
fn a_segment_of_another_history_is_damage() {
    let (ours, _, theirs) = twins(true, End::Closed);
    for name in derived(&ours) {
        ours.put(&name, b"");
    }
    let mut segments = ours.names();
    segments.retain(|name| name.ends_with(".segment"));
    let has_records = |name: &String| ours.bytes(name).len() > 1000;
    let last = segments.iter().rposition(has_records).unwrap();
    let before = &segments[last - 1];
    ours.put(before, &theirs.bytes(before));
    let error = options()
        .open_in::<Later>(ours.clone(), 1)
        .expect_err("two histories");
    assert!(matches!(error, KvsError::Damaged { .. }), "{error}");
    assert!(!verify(&ours, &mut |_, _| {}).unwrap().is_sound());
    let bytes = ours.bytes(before);
    let report = repair(&ours, &mut |_, _| {}).unwrap();
    let mut kept = report
        .kept
        .iter()
        .filter_map(|kept| kept.file_name()?.to_str());
    assert!(kept.any(|kept| ours.bytes(kept) == bytes), "{report}");
    drop(open(&options(), &ours));
}

/// A store that is opened often has a segment for each sixteenth of its log, not one for each
/// opening.
#[test]
fn opening_a_store_again_and_again_leaves_few_segments() {
    let disk = Disk::default();
    let options = options().segment_bytes(1 << 20);
    let value = "x".repeat(20_000);
    for n in 0..300 {
        let store = open(&options, &disk);
        if n > 0 {
            let key = format!("key{}", n - 1);
            assert_eq!(done(store.get(key)).unwrap().as_ref(), Some(&value));
        }
        set(&store, &format!("key{n}"), &value);
        run_jobs();
    }
    let names = disk.names();
    assert!(names.contains(&"kvs-checkpoint".to_owned()));
    let segments = names.iter().filter(|name| name.ends_with(".segment"));
    assert!(segments.count() < 100);
    let store = open(&options, &disk);
    let keys: Vec<_> = (0..300).map(|n| format!("key{n}")).collect();
    assert_eq!(contents(&store, &keys).len(), 300);
}

/// Returns stores of earlier versions: a compacted segment with its hints, the active one, and the
/// watermark.
fn earlier_stores() -> [(u32, Disk); 2] {
    let store_of_format_1 = Disk::with([
        (
            "0000000002.segment",
            &include_bytes!("format-1/0000000002.segment")[..],
        ),
        (
            "0000000002.hints",
            include_bytes!("format-1/0000000002.hints"),
        ),
        (
            "0000000003.segment",
            include_bytes!("format-1/0000000003.segment"),
        ),
        ("kvs-synced", include_bytes!("format-1/kvs-synced")),
    ]);
    let store_of_format_2 = Disk::with([
        (
            "0000000004.segment",
            &include_bytes!("format-2/0000000004.segment")[..],
        ),
        (
            "0000000004.hints",
            include_bytes!("format-2/0000000004.hints"),
        ),
        (
            "0000000005.segment",
            include_bytes!("format-2/0000000005.segment"),
        ),
        ("kvs-synced", include_bytes!("format-2/kvs-synced")),
    ]);
    [(1, store_of_format_1), (2, store_of_format_2)]
}

fn contents_of_earlier_stores() -> Contents {
    let keys = (0..8).filter(|n| *n != 3);
    let pairs = keys.map(|n| (format!("key{n}"), format!("value 3 of key{n}")));
    pairs
        .chain([("last".to_owned(), "ünïcode".to_owned())])
        .collect()
}

#[test]
fn a_store_of_an_earlier_format_is_read_and_written_on_in_format_3() {
    for (version, disk) in earlier_stores() {
        let segments = disk.names().into_iter();
        for name in segments.filter(|name| name.ends_with(".segment")) {
            assert_eq!(u32::from(disk.bytes(&name)[8]), version, "{name}");
        }
        write_on(&disk);
    }
}

fn write_on(disk: &Disk) {
    assert!(verify(disk, &mut |_, _| {}).unwrap().is_sound());
    let mut expected = contents_of_earlier_stores();
    let with_key3 =
        |keys: &Contents| [keys.keys().cloned().collect(), vec!["key3".to_owned()]].concat();
    let options = options().segment_bytes(2000);
    for n in 0..5 {
        let store = open(&options, disk);
        assert_eq!(contents(&store, &with_key3(&expected)), expected);
        for m in 0..20 {
            let (key, value) = (format!("key of run {n}, {m}"), "new".to_owned());
            set(&store, &key, &value);
            expected.insert(key, value);
        }
        run_jobs();
        drop(store);
        assert!(verify(disk, &mut |_, _| {}).unwrap().is_sound());
    }
    let store = open(&options.clone().dead_bytes(1), disk);
    set(&store, "last", &"again ".repeat(2000));
    set(&store, "last", "ünïcode");
    run_jobs();
    drop(store);
    for name in disk
        .names()
        .iter()
        .filter(|name| name.ends_with(".segment"))
    {
        assert_eq!(disk.bytes(name)[8], 3, "{name}");
    }
    let store = open(&options, disk);
    assert_eq!(contents(&store, &with_key3(&expected)), expected);
}

#[test]
fn a_flipped_byte_in_an_earlier_format_is_never_a_wrong_value() {
    let expected = contents_of_earlier_stores();
    for (_, whole) in earlier_stores() {
        let mut active = whole.names().into_iter();
        let active = active.rfind(|name| name.ends_with(".segment")).unwrap();
        for name in whole.names() {
            for at in 0..whole.bytes(&name).len() {
                let place = format!("byte {at} of {name}");
                let disk = whole.copy();
                let mut bytes = disk.bytes(&name);
                bytes[at] ^= 1 << (at % 8);
                disk.put(&name, &bytes);
                let store = match options().open_in::<Later>(disk.clone(), 1) {
                    Ok(store) => store,
                    Err(KvsError::Damaged { .. } | KvsError::UnknownVersion { .. }) => {
                        assert!(name.ends_with(".segment"), "{place}");
                        continue;
                    }
                    Err(error) => panic!("{place}: {error}"),
                };
                // The damaged part may look like writes that were cut short.
                if name == active && done(store.get("last".to_owned())).unwrap().is_none() {
                    continue;
                }
                for (key, value) in &expected {
                    match done(store.get(key.clone())) {
                        Ok(got) => assert_eq!(got.as_ref(), Some(value), "{place}"),
                        Err(error) => assert!(matches!(error, KvsError::Damaged { .. })),
                    }
                }
            }
        }
    }
}
