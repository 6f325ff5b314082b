//! The zeros that a store writes ahead of its records at the sync level `always`.

use std::mem;

use kvs::engine::{SyncLevel, verify};
use kvs::{KvStore, KvsError};

use super::{get, open, options, segments, set};
use crate::common::disk::{Disk, Faults};
use crate::common::later::{Later, close};

/// More zeros than any record of these tests has.
const ZEROS: [u8; 100] = [0; 100];

/// The length of the record of a key of two bytes and the value `value`.
const RECORD: u64 = 24 + 2 + 5;

/// Opens a store whose segments are not full soon.
fn open_large(disk: &Disk) -> KvStore<Later> {
    let options = options().segment_bytes(1 << 20);
    let options = options.sync(SyncLevel::Always);
    options.open_in(disk.clone(), 1).unwrap()
}

fn newest(disk: &Disk) -> Vec<u8> {
    disk.bytes(segments(disk).last().unwrap())
}

/// Returns the end of the last record.
fn end(bytes: &[u8]) -> usize {
    bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1
}

/// Returns an open store with zeros behind its records, its disk, and the number of keys.
fn store_with_zeros() -> (KvStore<Later>, Disk, usize) {
    let disk = Disk::default();
    let store = open_large(&disk);
    let mut keys = 0;
    while keys < 10 || !newest(&disk).ends_with(&ZEROS) {
        set(&store, &format!("{keys:02}"), "value").unwrap();
        keys += 1;
    }
    (store, disk, keys)
}

/// Returns a disk as a kill leaves it, with zeros behind the records, and the number of keys.
fn killed_store() -> (Disk, usize) {
    let (store, disk, keys) = store_with_zeros();
    let killed = disk.copy();
    close(store);
    (killed, keys)
}

#[test]
fn zeros_that_a_kill_leaves_are_no_torn_end() {
    let (disk, keys) = killed_store();
    let report = verify(&disk, &mut |_, _| {}).unwrap();
    assert!(report.is_sound() && report.torn.is_none(), "{report}");
    assert_eq!(report.keys, keys);
    let store = open_large(&disk);
    set(&store, "another", "value").unwrap();
    close(store);
    assert!(disk.names().iter().all(|name| !name.contains("torn")));
    let store = open_large(&disk);
    for key in (0..keys)
        .map(|n| format!("{n:02}"))
        .chain(["another".to_owned()])
    {
        assert_eq!(get(&store, &key).as_deref(), Some("value"), "{key}");
    }
}

#[test]
fn synced_records_that_the_disk_has_as_zeros_are_damage() {
    let (disk, _) = killed_store();
    let name = segments(&disk).pop().unwrap();
    let mut bytes = disk.bytes(&name);
    let end = end(&bytes);
    bytes[end - 2 * RECORD as usize..].fill(0);
    disk.put(&name, &bytes);
    let report = verify(&disk, &mut |_, _| {}).unwrap();
    assert!(!report.is_sound(), "{report}");
    close(open_large(&disk));
    assert!(disk.names().iter().any(|name| name.contains("torn")));
}

#[test]
fn no_zeros_are_left_in_sealed_segments_and_after_closing() {
    let (disk, _) = killed_store();
    // The first write finds that the segment is full.
    let store = open(&disk, SyncLevel::Always);
    for n in 0..30 {
        set(&store, "key", &n.to_string()).unwrap();
        let mut sealed = segments(&disk);
        sealed.pop();
        for name in sealed {
            assert_ne!(disk.bytes(&name).last(), Some(&0), "{name}");
        }
    }
    close(store);
    assert!(!newest(&disk).ends_with(&ZEROS));
    let (disk, _) = killed_store();
    close(open_large(&disk));
    assert_ne!(newest(&disk).last(), Some(&0));
}

#[test]
fn long_commits_and_other_sync_levels_write_no_zeros() {
    for level in [SyncLevel::EverySec, SyncLevel::Never] {
        let disk = Disk::default();
        let options = options().segment_bytes(1 << 20).sync(level);
        let store: KvStore<Later> = options.open_in(disk.clone(), 1).unwrap();
        for n in 0..50 {
            set(&store, &n.to_string(), "value").unwrap();
            assert_ne!(newest(&disk).last(), Some(&0));
        }
    }
    let disk = Disk::default();
    let store = open_large(&disk);
    for n in 0..3 {
        set(&store, &n.to_string(), &"x".repeat(40_000)).unwrap();
        assert_ne!(newest(&disk).last(), Some(&0));
    }
}

#[test]
fn a_disk_without_room_for_zeros_takes_the_records() {
    let disk = Disk::default();
    let store = open_large(&disk);
    for n in 0..100 {
        let room = Some(disk.used() + 40);
        let faults = Faults {
            room,
            ..Faults::default()
        };
        disk.set_faults(faults);
        set(&store, "key", &n.to_string()).unwrap();
    }
    disk.set_faults(Faults::default());
    close(store);
    let report = verify(&disk, &mut |_, _| {}).unwrap();
    assert!(report.is_sound(), "{report}");
    assert_eq!(get(&open_large(&disk), "key").as_deref(), Some("99"));
}

/// After a restart of the machine, zeros may be writes that did not reach the disk.
#[test]
fn zeros_after_a_power_cut_are_a_torn_end() {
    let (disk, keys) = killed_store();
    let disk = disk.durable();
    let report = verify(&disk, &mut |_, _| {}).unwrap();
    assert!(report.is_sound() && report.torn.is_some(), "{report}");
    assert_eq!(report.keys, keys);
    close(open_large(&disk));
    assert!(verify(&disk, &mut |_, _| {}).unwrap().torn.is_none());
}

#[test]
fn damage_before_the_zeros_ends_with_the_records() {
    let (disk, keys) = killed_store();
    let name = segments(&disk).pop().unwrap();
    let mut bytes = disk.bytes(&name);
    let end = end(&bytes);
    bytes[end - 1] ^= 1;
    disk.put(&name, &bytes);
    let report = verify(&disk, &mut |_, _| {}).unwrap();
    let damage = &report.damage[0];
    assert_eq!((damage.offset, damage.len), (end as u64 - RECORD, RECORD));
    assert_eq!(report.keys, keys - 1);
}

#[test]
fn a_check_beside_a_store_that_writes_over_zeros_is_refused() {
    let (store, disk, _) = store_with_zeros();
    let len = newest(&disk).len();
    let mut is_first = true;
    let checked = verify(&disk, &mut |_, _| {
        if mem::take(&mut is_first) {
            set(&store, "k", "value").unwrap();
        }
    });
    assert_eq!(newest(&disk).len(), len);
    assert!(
        matches!(checked, Err(KvsError::Changed { .. })),
        "{checked:?}"
    );
}

/// A cut would be one more write.
#[test]
fn after_a_failed_sync_closing_cuts_nothing_off() {
    let disk = Disk::default();
    let store = open_large(&disk);
    for n in 0..30 {
        set(&store, &n.to_string(), "value").unwrap();
    }
    disk.fail_sync_after(0);
    set(&store, "key", "another").unwrap_err();
    let bytes = newest(&disk);
    close(store);
    assert_eq!(newest(&disk), bytes);
}
