//! The room that the sync level `always` makes for the next records, in zeros.

use kvs::KvStore;
use kvs::engine::{SyncLevel, verify};

use super::{get, open, options, segments, set};
use crate::common::disk::{Disk, Faults};
use crate::common::later::{Later, close};

/// More zeros than any record of these tests has.
const ZEROS: [u8; 100] = [0; 100];

/// Opens a store whose segments are not full soon.
fn open_large(disk: &Disk) -> KvStore<Later> {
    let options = options().segment_bytes(1 << 20);
    let options = options.sync(SyncLevel::Always);
    options.open_in(disk.clone(), 1).unwrap()
}

fn newest(disk: &Disk) -> Vec<u8> {
    disk.bytes(segments(disk).last().unwrap())
}

/// Returns a disk as a kill leaves it, with room, and the number of keys.
fn killed_store() -> (Disk, usize) {
    let disk = Disk::default();
    let store = open_large(&disk);
    let mut keys = 0;
    while keys < 10 || !newest(&disk).ends_with(&ZEROS) {
        set(&store, &format!("k{keys}"), "value").unwrap();
        keys += 1;
    }
    let killed = disk.copy();
    close(store);
    (killed, keys)
}

#[test]
fn room_that_a_kill_leaves_is_no_torn_end() {
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
        .map(|n| format!("k{n}"))
        .chain(["another".to_owned()])
    {
        assert_eq!(get(&store, &key).as_deref(), Some("value"), "{key}");
    }
}

#[test]
fn synced_records_that_the_disk_has_as_zeros_are_damage_and_not_room() {
    let (disk, _) = killed_store();
    let name = segments(&disk).pop().unwrap();
    let mut bytes = disk.bytes(&name);
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() + 1;
    bytes[end - 20..].fill(0);
    disk.put(&name, &bytes);
    let report = verify(&disk, &mut |_, _| {}).unwrap();
    assert!(!report.is_sound(), "{report}");
    close(open_large(&disk));
    assert!(disk.names().iter().any(|name| name.contains("torn")));
}

#[test]
fn no_room_is_left_in_sealed_segments_and_after_closing() {
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
fn long_commits_and_other_sync_levels_make_no_room() {
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
        assert_eq!(get(&store, "key"), Some(n.to_string()));
    }
}
