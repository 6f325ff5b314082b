//! Segments that a compaction has replaced, while their files are still there.

use super::*;
use common::disk::Faults;
use common::later::{close, run_job, take_newest_job};

/// Fills a store, and opens it again. Runs jobs until a compaction has taken effect, and no longer.
fn compacted(disk: &Disk) -> KvStore<Later> {
    let never = options().dead_bytes(u64::MAX);
    let store: KvStore<Later> = never.open_in(disk.clone(), 1).unwrap();
    for n in 0..60 {
        set(&store, &key(n), &n.to_string()).unwrap();
    }
    close(store);
    // With longer segments, one piece of a compaction has all of these.
    let longer = options().segment_bytes(4096);
    let store: KvStore<Later> = longer.open_in(disk.clone(), 1).unwrap();
    done(store.set("new".to_owned(), "value".to_owned())).unwrap();
    while store.stats().seconds_since_compaction.is_none() {
        assert!(run_job(), "no compaction");
    }
    store
}

#[test]
fn their_files_go_one_after_the_other_so_that_no_write_waits_for_all_of_them() {
    let disk = Disk::default();
    let store = compacted(&disk);
    let mut left = segments(&disk).len();
    assert!(left > 8, "only {left} segments");
    while run_job() {
        let now = segments(&disk).len();
        assert!(left - now <= 1, "{} files in one step", left - now);
        left = now;
    }
    // The output and the active one.
    assert_eq!(left, 2);
    close(store);
}

#[test]
fn a_long_file_gets_shorter_step_by_step_so_that_no_sync_waits_for_all_of_it() {
    const MIB: u64 = 1024 * 1024;
    let disk = Disk::default();
    let options = options().segment_bytes(4 * MIB).dead_bytes(6 * MIB);
    let store: KvStore<Later> = options.open_in(disk.clone(), 1).unwrap();
    for n in 0..40 {
        done(store.set(key(n), "x".repeat(256 * 1024))).unwrap();
    }
    let mut used = disk.used();
    assert!(used > 8 * MIB, "only {used} bytes");
    while run_job() {
        let now = disk.used();
        assert!(used <= now + MIB, "{} bytes in one step", used - now);
        used = now;
    }
    assert!(used < 3 * MIB, "{used} bytes are left");
    close(store);
}

#[test]
fn a_read_that_began_before_the_compaction_finds_its_value() {
    let disk = Disk::default();
    let options = options().segment_bytes(4096).cache_bytes(0);
    let store: KvStore<Later> = options.open_in(disk.clone(), 1).unwrap();
    done(store.set("key".to_owned(), "value".to_owned())).unwrap();
    let read = store.get("key".to_owned());
    let run_read = take_newest_job().expect("the read waits for the disk");
    while store.stats().seconds_since_compaction.is_none() {
        set(&store, "other", "value").unwrap();
    }
    assert!(!segments(&disk).contains(&"0000000001.segment".to_owned()));
    run_read();
    assert_eq!(done(read).unwrap().as_deref(), Some("value"));
    close(store);
}

#[test]
fn a_file_that_has_another_name_keeps_its_bytes() {
    let disk = Disk::default();
    let store = compacted(&disk);
    let before = disk.files();
    let replaced = segments(&disk);
    for name in &replaced {
        disk.link(name, &format!("copy of {name}"));
    }
    run_jobs();
    for name in &replaced[..replaced.len() - 2] {
        assert!(!disk.names().contains(name));
        assert_eq!(disk.bytes(&format!("copy of {name}")), before[name]);
    }
    close(store);
}

/// A store that opens from hints does not read the values, so it opens although one is damaged.
#[test]
fn the_segment_in_their_place_has_its_hints_at_once() {
    let disk = Disk::default();
    let store = compacted(&disk);
    let names = disk.names();
    let with_hints = |name: &String| names.contains(&name.replace(".segment", ".hints"));
    let output = segments(&disk).into_iter().rfind(with_hints);
    let output = output.expect("hints");
    disk.kill();
    std::mem::forget(store);

    let mut bytes = disk.bytes(&output);
    *bytes.last_mut().unwrap() ^= 1;
    disk.put(&output, &bytes);
    let store = open(&disk, SyncLevel::EverySec);
    for n in 55..60 {
        assert_eq!(get(&store, &key(n)), Some(n.to_string()));
    }
    assert!(done(store.get("new".to_owned())).is_err());
    close(store);
}

#[test]
fn their_room_goes_to_the_writes_if_the_disk_is_full() {
    let disk = Disk::default();
    let store = compacted(&disk);
    disk.set_faults(Faults {
        room: Some(disk.used()),
        ..Faults::default()
    });
    done(store.set("new".to_owned(), "value".repeat(10))).unwrap();
    assert!(segments(&disk).len() <= 3);
    close(store);
}

#[test]
fn their_files_are_gone_when_the_store_has_closed() {
    let disk = Disk::default();
    drop(compacted(&disk));
    assert!(segments(&disk).len() <= 3);
    run_jobs();
}
