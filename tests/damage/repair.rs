//! `--verify` finds damage, and `--repair` saves the rest.

use kvs::engine::{Lost, Report, repair, verify};
use kvs::{KvsEngine, KvsError};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::{Contents, contents, open, segments, some_store};
use crate::common::disk::Disk;
use crate::common::later::{close, done, run_job};

#[test]
fn verify_finds_a_flipped_byte_and_repair_reports_the_loss() {
    let (disk, history) = some_store();
    for name in segments(&disk) {
        let bytes = disk.bytes(&name);
        for at in 0..bytes.len() {
            let disk = disk.copy();
            let mut bytes = bytes.clone();
            bytes[at] ^= 1 << (at % 8);
            disk.put(&name, &bytes);
            let before = disk.files();
            let report = match verify(&disk, &mut |_, _| {}) {
                Ok(report) => report,
                Err(error) => {
                    assert!(matches!(error, KvsError::UnknownVersion { .. }), "{error}");
                    continue;
                }
            };
            assert!(!report.is_sound(), "byte {at} of {name}");
            assert!(disk.files() == before, "--verify has changed a file");

            let report = repair(&disk, &mut |_, _| {}).unwrap();
            let kept = report.kept[0].file_name().unwrap().to_str().unwrap();
            assert_eq!(disk.bytes(kept), bytes, "the damaged file is kept");
            let store = open(&disk).unwrap();
            let got = contents(&store, &history);
            check_report(&report, &got, &history);
            done(store.set("k0".to_owned(), "again".to_owned())).unwrap();
            close(store);
            assert!(verify(&disk, &mut |_, _| {}).unwrap().is_sound());
            let store = open(&disk).unwrap();
            assert_eq!(contents(&store, &history)["k0"], "again");
        }
    }
}

/// Checks that every key has its last value, or that the report names its loss, and that no key has
/// a value that it never had.
fn check_report(report: &Report, got: &Contents, history: &[Contents]) {
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
            // The keys are unknown.
            _ => true,
        })
    };
    for key in expected.keys().chain(got.keys()) {
        assert!(
            expected.get(key) == got.get(key) || is_told(key),
            "the report does not say that {key:?} is lost: {report}"
        );
    }
}

#[test]
fn losses_with_a_missing_end_or_a_missing_segment_are_reported() {
    let (disk, history) = some_store();
    for name in segments(&disk) {
        let files = disk.files();
        for len in (0..files[&name].len()).map(Some).chain([None]) {
            let others = files.iter().filter(|(other, _)| **other != name);
            let disk = Disk::with(others.map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
            if let Some(len) = len {
                disk.put(&name, &files[&name][..len]);
            }
            let report = repair(&disk, &mut |_, _| {}).unwrap();
            let store = open(&disk).unwrap();
            check_report(&report, &contents(&store, &history), &history);
            close(store);
        }
    }
}

/// A second repair completes the first one, and loses nothing that was sound.
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

/// A crash prevented compaction from removing the segments that its output replaces, and then the
/// output is damaged.
#[test]
fn segments_that_a_damaged_output_of_compaction_replaced_are_saved() {
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
    // Without hints and checkpoint, with which the store would open.
    let mut all = before.files();
    all.extend(disk.files());
    all.retain(|name, _| name.ends_with("segment") || name == "kvs-synced");
    let disk = Disk::with(
        all.iter()
            .map(|(name, bytes)| (name.as_str(), bytes.as_slice())),
    );
    let compacted = |name: &String| disk.bytes(name)[32..40] != [0; 8];
    let output = segments(&disk).into_iter().find(compacted).unwrap();
    let mut bytes = disk.bytes(&output);
    bytes[56..].fill(0);
    disk.put(&output, &bytes);
    assert!(matches!(open(&disk), Err(KvsError::Damaged { .. })));
    repair(&disk, &mut |_, _| {}).unwrap();
    let history = [contents_before];
    let store = open(&disk).unwrap();
    assert_eq!(contents(&store, &history), history[0]);
    close(store);
}
