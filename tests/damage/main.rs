//! What becomes of a store when its files are not what was written: every byte flipped, every end
//! cut off, every file gone. Never a wrong value, never a panic, never a silent hole.

#[path = "../common/mod.rs"]
mod common;

use std::collections::BTreeMap;

use common::disk::Disk;
use common::later::{Later, done, run_job, run_jobs};
use kvs::engine::{KvStoreOptions, Lost, Report, repair, verify};
use kvs::{KvStore, KvsEngine, KvsError, Result};
use rand::SeedableRng;
use rand::rngs::SmallRng;

type Contents = BTreeMap<String, String>;

fn options() -> KvStoreOptions {
    KvStore::<Later>::options()
        .segment_bytes(120)
        .dead_bytes(150)
}

fn open(disk: &Disk) -> Result<KvStore<Later>> {
    options().open_in(disk.clone(), 1)
}

/// A closed store with a compacted segment, others that are sealed, hints, and an active segment
/// of several records. Comes with what was in it after each write.
fn some_store() -> (Disk, Vec<Contents>) {
    let disk = Disk::default();
    let mut history = vec![Contents::new()];
    let mut write = |options: KvStoreOptions, writes: &[(String, Option<String>)]| {
        let store: KvStore<Later> = options.open_in(disk.clone(), 1).unwrap();
        for (key, value) in writes {
            let mut contents = history[history.len() - 1].clone();
            match value {
                Some(value) => {
                    contents.insert(key.clone(), value.clone());
                    done(store.set(key.clone(), value.clone())).unwrap();
                }
                None => {
                    contents.remove(key);
                    done(store.remove(key.clone())).unwrap();
                }
            }
            history.push(contents);
        }
        close(store);
    };
    let old = (0..14).map(|n| (format!("k{}", n % 4), Some(format!("old {n}"))));
    write(options(), &old.collect::<Vec<_>>());
    // Compaction would leave next to nothing in the other segments.
    let only = (0..5).map(|n| (format!("only {n}"), Some(n.to_string())));
    write(options().dead_bytes(u64::MAX), &only.collect::<Vec<_>>());
    let new = (0..3).map(|n| (format!("k{n}"), Some(format!("new {n}"))));
    let removed = [("only 0".to_owned(), None)];
    write(
        options().dead_bytes(u64::MAX).segment_bytes(u64::MAX),
        &new.chain(removed).collect::<Vec<_>>(),
    );
    (disk, history)
}

fn close(store: KvStore<Later>) {
    run_jobs();
    drop(store);
}

fn files(disk: &Disk) -> BTreeMap<String, Vec<u8>> {
    let names = disk.names().into_iter();
    names
        .map(|name| (name.clone(), disk.bytes(&name)))
        .collect()
}

fn segments(disk: &Disk) -> Vec<String> {
    let mut names = disk.names();
    names.retain(|name| name.ends_with(".segment"));
    names
}

/// Every key that is in any of these contents, with what the store says of it.
fn read_all(store: &KvStore<Later>, history: &[Contents]) -> BTreeMap<String, Result<String>> {
    let keys: Contents = history.iter().flat_map(Contents::clone).collect();
    keys.into_keys()
        .filter_map(|key| {
            let got = done(store.get(key.clone()));
            Some((key, got.transpose()?))
        })
        .collect()
}

/// All of it, where nothing of it is an error.
fn contents(store: &KvStore<Later>, history: &[Contents]) -> Contents {
    let all = read_all(store, history).into_iter();
    all.map(|(key, got)| (key, got.unwrap())).collect()
}

#[test]
fn the_store_under_test_has_files_of_every_kind() {
    let (disk, history) = some_store();
    let segments = segments(&disk);
    assert!(segments.len() >= 3, "{segments:?}");
    let compacted = |name: &String| disk.bytes(name)[32..40] != [0; 8];
    assert!(segments.iter().any(compacted));
    assert!(disk.names().iter().any(|name| name.ends_with(".hints")));
    for name in ["kvs-synced", "kvs-checkpoint"] {
        assert!(disk.names().contains(&name.to_owned()));
    }
    let store = open(&disk).unwrap();
    assert_eq!(&contents(&store, &history), history.last().unwrap());
    drop(store);
    assert!(verify(&disk, &mut |_, _| {}).unwrap().is_sound());
}

#[test]
fn a_flipped_byte_is_an_error_and_never_a_wrong_value() {
    let (disk, history) = some_store();
    let expected = history.last().unwrap();
    let newest = segments(&disk).pop().unwrap();
    for (name, bytes) in files(&disk) {
        for at in 0..bytes.len() {
            for flip in [1 << (at % 8), 0xff] {
                let disk = disk.copy();
                let mut bytes = bytes.clone();
                bytes[at] ^= flip;
                disk.put(&name, &bytes);
                let before = files(&disk);
                let store = match open(&disk) {
                    Ok(store) => store,
                    Err(KvsError::Damaged { .. } | KvsError::UnknownVersion { .. }) => {
                        assert!(name.ends_with(".segment"), "{name} is not needed");
                        assert!(files(&disk) == before, "a refused store was changed");
                        continue;
                    }
                    Err(error) => panic!("byte {at} of {name}: {error}"),
                };
                let got = read_all(&store, &history);
                if name == newest && got.values().all(Result::is_ok) {
                    // The last record looks like a write that was cut short.
                    let before = &history[history.len() - 2];
                    assert!(contents(&store, &history) == *before, "byte {at} of {name}");
                    continue;
                }
                for (key, value) in expected {
                    match &got[key] {
                        Ok(got) => assert_eq!(got, value, "byte {at} of {name}"),
                        Err(KvsError::Damaged { file, .. }) => assert!(file.ends_with(&name)),
                        Err(error) => panic!("byte {at} of {name}: {error}"),
                    }
                }
                assert_eq!(got.len(), expected.len(), "byte {at} of {name}");
            }
        }
    }
}

#[test]
fn a_flipped_byte_is_found_by_verify_and_repair_says_what_it_cost() {
    let (disk, history) = some_store();
    for name in segments(&disk) {
        let bytes = disk.bytes(&name);
        for at in 0..bytes.len() {
            let disk = disk.copy();
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            disk.put(&name, &bytes);
            let before = files(&disk);
            let report = match verify(&disk, &mut |_, _| {}) {
                Ok(report) => report,
                Err(error) => {
                    assert!(matches!(error, KvsError::UnknownVersion { .. }), "{error}");
                    continue;
                }
            };
            assert!(!report.is_sound(), "byte {at} of {name}");
            assert!(files(&disk) == before, "verify changes nothing");

            let report = repair(&disk, &mut |_, _| {}).unwrap();
            let kept = report.kept[0].file_name().unwrap().to_str().unwrap();
            assert_eq!(disk.bytes(kept), bytes, "the damaged file is kept");
            let store = open(&disk).unwrap();
            let got = contents(&store, &history);
            check_what_is_told(&report, &got, &history);
            done(store.set("k0".to_owned(), "again".to_owned())).unwrap();
            close(store);
            assert!(verify(&disk, &mut |_, _| {}).unwrap().is_sound());
            let store = open(&disk).unwrap();
            assert_eq!(contents(&store, &history)["k0"], "again");
        }
    }
}

/// Every key has its last value, or somebody has said that it has not; and never one that it has
/// not had at some time.
fn check_what_is_told(report: &Report, got: &Contents, history: &[Contents]) {
    let expected = history.last().unwrap();
    for (key, value) in got {
        let was_there = history
            .iter()
            .any(|contents| contents.get(key) == Some(value));
        assert!(was_there, "{key:?} has never been {value:?}: {report}");
    }
    let is_told = |key: &String| {
        report.lost.iter().any(|lost| match lost {
            Lost::Value { key: lost, .. } | Lost::Removal { key: lost } => lost == key,
            Lost::Unknown { .. } => true,
        })
    };
    for key in expected.keys().chain(got.keys()) {
        assert!(
            expected.get(key) == got.get(key) || is_told(key),
            "nobody said that {key:?} is lost: {report}"
        );
    }
}

#[test]
fn what_is_lost_with_a_missing_end_or_a_missing_segment_is_told() {
    let (disk, history) = some_store();
    for name in segments(&disk) {
        let files = files(&disk);
        for len in (0..files[&name].len()).map(Some).chain([None]) {
            let others = files.iter().filter(|(other, _)| **other != name);
            let disk = Disk::with(others.map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
            if let Some(len) = len {
                disk.put(&name, &files[&name][..len]);
            }
            let report = repair(&disk, &mut |_, _| {}).unwrap();
            let store = open(&disk).unwrap();
            check_what_is_told(&report, &contents(&store, &history), &history);
            close(store);
        }
    }
}

/// Whatever is left can be repaired, and nothing that was sound is lost on the way.
#[test]
fn a_repair_that_is_cut_short_can_be_done_again() {
    let (whole, history) = some_store();
    let name = segments(&whole).remove(0);
    let mut bytes = whole.bytes(&name);
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let damaged = || {
        let disk = whole.copy();
        disk.put(&name, &bytes);
        disk
    };
    let disk = damaged();
    repair(&disk, &mut |_, _| {}).unwrap();
    let steps = disk.steps();
    let expected = contents(&open(&disk).unwrap(), &history);
    assert!(steps > 5);
    for stop_at in 1..=steps {
        let disk = damaged();
        disk.stop_at(stop_at);
        let _ = repair(&disk, &mut |_, _| {});
        disk.cut_power(&mut SmallRng::seed_from_u64(stop_at));
        repair(&disk, &mut |_, _| {}).unwrap();
        let store = open(&disk).unwrap();
        assert_eq!(contents(&store, &history), expected, "stopped at {stop_at}");
        close(store);
    }
}

/// A crash came before compaction removed what its output replaces, and then the output is bad.
#[test]
fn what_a_damaged_output_of_a_compaction_has_replaced_is_saved() {
    let disk = Disk::default();
    let store = open(&disk).unwrap();
    let mut contents_before = Contents::new();
    let mut before = disk.copy();
    for n in 0.. {
        let (key, value) = (format!("k{}", n % 3), format!("value {n}"));
        done(store.set(key.clone(), value.clone())).unwrap();
        contents_before.insert(key, value);
        while disk.names().contains(&"0000000001.segment".to_owned()) && run_job() {
            if disk.names().contains(&"0000000001.segment".to_owned()) {
                before = disk.copy();
            }
        }
        if !disk.names().contains(&"0000000001.segment".to_owned()) {
            break;
        }
    }
    close(store);
    // Without hints and checkpoint, by which the store would open.
    let mut all = files(&before);
    all.extend(files(&disk));
    all.retain(|name, _| name.ends_with("segment") || name == "kvs-synced");
    let disk = Disk::with(
        all.iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice())),
    );
    let compacted = |name: &String| disk.bytes(name)[32..40] != [0; 8];
    let output = segments(&disk).into_iter().find(compacted).unwrap();
    let mut bytes = disk.bytes(&output);
    bytes[48..].fill(0);
    disk.put(&output, &bytes);
    assert!(matches!(open(&disk), Err(KvsError::Damaged { .. })));
    repair(&disk, &mut |_, _| {}).unwrap();
    let history = [contents_before];
    let store = open(&disk).unwrap();
    assert_eq!(contents(&store, &history), history[0]);
    close(store);
}

#[test]
fn a_newest_segment_cut_off_anywhere_has_what_comes_before() {
    let (disk, history) = some_store();
    let newest = segments(&disk).pop().unwrap();
    let bytes = disk.bytes(&newest);
    let mut seen = 0;
    for len in 0..bytes.len() {
        let disk = disk.copy();
        disk.put(&newest, &bytes[..len]);
        match open(&disk) {
            Ok(store) => {
                let got = contents(&store, &history);
                let n = history.iter().position(|contents| *contents == got);
                let n = n.unwrap_or_else(|| panic!("{len} bytes: {got:?} was never there"));
                assert!(n >= seen, "more bytes have fewer records");
                seen = n;
            }
            Err(KvsError::Damaged { .. }) => assert!(len < 48, "the header is not torn"),
            Err(error) => panic!("{len} bytes: {error}"),
        }
    }
    assert_eq!(
        seen,
        history.len() - 2,
        "all but the last record were there"
    );
}

#[test]
fn an_older_segment_cut_off_anywhere_is_refused() {
    let (disk, _) = some_store();
    let mut older = segments(&disk);
    older.pop();
    for name in older {
        let bytes = disk.bytes(&name);
        for len in 0..bytes.len() {
            let disk = disk.copy();
            disk.put(&name, &bytes[..len]);
            let opened = open(&disk).err();
            assert!(
                matches!(opened, Some(KvsError::Damaged { .. })),
                "{len} bytes of {name}: {opened:?}"
            );
            assert!(!verify(&disk, &mut |_, _| {}).unwrap().is_sound());
        }
    }
}

#[test]
fn a_missing_segment_is_refused_and_other_missing_files_are_not_needed() {
    let (disk, history) = some_store();
    for missing in disk.names() {
        let files = files(&disk);
        let others = files.iter().filter(|(name, _)| **name != missing);
        let disk = Disk::with(others.map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
        match open(&disk) {
            Ok(store) => {
                assert!(!missing.ends_with(".segment"), "nobody misses {missing}");
                assert_eq!(&contents(&store, &history), history.last().unwrap());
            }
            Err(KvsError::Damaged { .. }) => {
                assert!(missing.ends_with(".segment"), "{missing} is not needed");
                assert!(!verify(&disk, &mut |_, _| {}).unwrap().is_sound());
                repair(&disk, &mut |_, _| {}).unwrap();
                contents(&open(&disk).unwrap(), &history);
            }
            Err(error) => panic!("without {missing}: {error}"),
        }
    }
}

#[test]
fn opening_does_not_read_values_where_there_are_hints() {
    let (disk, history) = some_store();
    let mut with_records = segments(&disk);
    with_records.retain(|name| disk.bytes(name).len() > 48);
    with_records.pop();
    assert!(!with_records.is_empty());
    for name in with_records {
        let hints = name.replace("segment", "hints");
        let disk = disk.copy();
        disk.put("kvs-checkpoint", b"no checkpoint");
        let mut bytes = disk.bytes(&name);
        *bytes.last_mut().unwrap() ^= 1;
        disk.put(&name, &bytes);
        let store = open(&disk).unwrap();
        let damaged = read_all(&store, &history)
            .into_values()
            .filter(Result::is_err);
        assert!(damaged.count() <= 1);
        drop(store);
        disk.put("kvs-checkpoint", b"no checkpoint");
        disk.put(&hints, b"no hints");
        assert!(matches!(open(&disk), Err(KvsError::Damaged { .. })));
    }
}

/// A store that was closed, and has been written to since by somebody who was killed. Comes with
/// what is in it.
fn store_ahead_of_its_checkpoint() -> (Disk, Contents) {
    let (disk, history) = some_store();
    let mut contents = history.last().unwrap().clone();
    close(open(&disk).unwrap());
    let store: KvStore<Later> = options()
        .dead_bytes(u64::MAX)
        .open_in(disk.clone(), 1)
        .unwrap();
    for (key, value) in [("k0", "newer"), ("k1", "newer"), ("new", "value")] {
        done(store.set(key.to_owned(), value.to_owned())).unwrap();
        contents.insert(key.to_owned(), value.to_owned());
    }
    done(store.remove("only 1".to_owned())).unwrap();
    contents.remove("only 1");
    let killed = disk.copy();
    drop(store);
    (killed, contents)
}

#[test]
fn what_was_written_since_the_checkpoint_comes_on_top_of_it() {
    let (disk, contents_now) = store_ahead_of_its_checkpoint();
    let history = [contents_now];
    let store = open(&disk).unwrap();
    assert_eq!(contents(&store, &history), history[0]);
    assert!(disk.names().contains(&"kvs-checkpoint".to_owned()));
    drop(store);
    disk.put("kvs-checkpoint", b"no checkpoint");
    let store = open(&disk).unwrap();
    assert_eq!(contents(&store, &history), history[0]);
}

#[test]
fn opening_does_not_read_records_where_there_is_a_checkpoint() {
    let (disk, history) = some_store();
    close(open(&disk).unwrap());
    let mut all_but_the_last = segments(&disk);
    all_but_the_last.pop();
    for name in all_but_the_last {
        let disk = disk.copy();
        let mut bytes = disk.bytes(&name);
        let Some(byte) = bytes.get_mut(48 + 24) else {
            continue;
        };
        *byte ^= 1;
        disk.put(&name, &bytes);
        let store = open(&disk).unwrap();
        let values = read_all(&store, &history).into_values();
        assert!(values.filter(Result::is_err).count() <= 1);
        drop(store);
        disk.put("kvs-checkpoint", b"no checkpoint");
        disk.put(&name.replace("segment", "hints"), b"no hints");
        assert!(matches!(open(&disk), Err(KvsError::Damaged { .. })));
    }
}

#[test]
fn a_checkpoint_that_is_cut_off_or_of_another_log_is_not_used() {
    let (disk, contents_now) = store_ahead_of_its_checkpoint();
    let history = [contents_now];
    let checkpoint = disk.bytes("kvs-checkpoint");
    let (other, _) = some_store();
    let cut_off = (0..checkpoint.len()).map(|len| checkpoint[..len].to_vec());
    for bytes in cut_off.chain([other.bytes("kvs-checkpoint")]) {
        let disk = disk.copy();
        disk.put("kvs-checkpoint", &bytes);
        let store = open(&disk).unwrap();
        assert_eq!(contents(&store, &history), history[0]);
        assert!(!disk.names().contains(&"kvs-checkpoint".to_owned()));
    }
}

#[test]
fn hints_that_are_missing_or_damaged_are_written_anew() {
    let (disk, history) = some_store();
    let files = files(&disk);
    for (name, hints) in files.iter().filter(|(name, _)| name.ends_with(".hints")) {
        for bad in [None, Some(&b""[..]), Some(&hints[..hints.len() - 1])] {
            let others = files.iter().filter(|(other, _)| *other != name);
            let disk = Disk::with(others.map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
            if let Some(bad) = bad {
                disk.put(name, bad);
            }
            let store: KvStore<Later> = options()
                .dead_bytes(u64::MAX)
                .open_in(disk.clone(), 1)
                .unwrap();
            assert_eq!(&contents(&store, &history), history.last().unwrap());
            done(store.set("k0".to_owned(), "again".to_owned())).unwrap();
            close(store);
            assert_eq!(disk.bytes(name), *hints);
        }
    }
}
