//! A disk without room.

use std::collections::BTreeMap;

use kvs::engine::SyncLevel;
use kvs::{KvStore, KvsEngine, KvsError};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::{LEVELS, get, key, open, options, segments, set};
use crate::common::disk::{Disk, Faults};
use crate::common::later::{Later, close, done, run_job, run_jobs};

/// The disk is full at any moment: in a write, at the start of a segment, in a compaction, in
/// hints.
#[test]
fn a_full_disk_fails_that_write_and_nothing_else() {
    for level in LEVELS {
        let mut failures = 0;
        for room in (150..800).step_by(5) {
            let disk = Disk::default();
            let store = open(&disk, level);
            let mut contents = BTreeMap::new();
            for n in 0..40 {
                // Now and then the disk has room for a while.
                let room = (n % 20 < 15).then_some(room);
                disk.set_faults(Faults {
                    room,
                    ..Faults::default()
                });
                let (key, value) = (key(n), n.to_string().repeat(n % 7));
                match set(&store, &key, &value) {
                    Ok(()) => {
                        contents.insert(key.clone(), value);
                    }
                    Err(KvsError::StorageFull { .. }) => {
                        assert!(room.is_some(), "there is room again");
                        failures += 1;
                    }
                    Err(error) => panic!("{error}"),
                }
                assert_eq!(get(&store, &key), contents.get(&key).cloned());
            }
            close(store);
            disk.set_faults(Faults::default());
            let store = open(&disk, level);
            for n in 0..5 {
                assert_eq!(get(&store, &key(n)), contents.get(&key(n)).cloned());
            }
            close(store);
        }
        assert!(failures > 500, "only {failures} writes met a full disk");
    }
}

#[test]
fn a_compaction_on_a_full_disk_continues_when_there_is_room() {
    let disk = Disk::default();
    let options = options().segment_bytes(u64::MAX);
    let store: KvStore<Later> = options.open_in(disk.clone(), 1).unwrap();
    for n in 0..4 {
        set(&store, &key(n), &"x".repeat(50)).unwrap();
    }
    let mut n = 100;
    while disk.names().contains(&"0000000001.segment".to_owned()) {
        // After compaction has begun, there is room for the next write, but not for its own output.
        let names = disk.names();
        let has_begun = names.iter().any(|name| name.ends_with("unfinished"));
        disk.set_faults(Faults {
            room: (has_begun && n < 200).then(|| disk.used() + 31),
            ..Faults::default()
        });
        done(store.set("key4".to_owned(), n.to_string())).unwrap();
        if has_begun {
            run_jobs();
        } else {
            run_job();
        }
        n += 1;
        assert!(n < 300, "compaction never came to its end");
    }
    assert!(n >= 200, "the disk was never full");
    for n in 0..4 {
        assert_eq!(get(&store, &key(n)), Some("x".repeat(50)));
    }
    close(store);
    let store = open(&disk, SyncLevel::EverySec);
    assert_eq!(get(&store, "key4"), Some((n - 1).to_string()));
    close(store);
}

/// Opens a store with `keys` keys of 50 bytes in one segment. It compacts when it has three dead
/// bytes for four live ones.
fn open_for_compaction(disk: &Disk, keys: usize) -> KvStore<Later> {
    let dead_bytes = 60 * keys as u64;
    let options = options().segment_bytes(4096).dead_bytes(dead_bytes);
    let store: KvStore<Later> = options.open_in(disk.clone(), 1).unwrap();
    for n in 0..keys {
        set(&store, &format!("live{n}"), &"x".repeat(50)).unwrap();
    }
    store
}

/// Sets a key again and again until the disk is full, and returns how often.
fn fill(store: &KvStore<Later>) -> usize {
    let values = (0..10_000).take_while(|n| match set(store, "hot", &n.to_string()) {
        Ok(()) => true,
        Err(KvsError::StorageFull { .. }) => false,
        Err(error) => panic!("{error}"),
    });
    values.count()
}

#[test]
fn compaction_takes_no_room_that_writes_could_have() {
    let writes_until_full = |dead_bytes| {
        let disk = Disk::default();
        let options = options().segment_bytes(1 << 20).dead_bytes(dead_bytes);
        let store: KvStore<Later> = options.open_in(disk.clone(), 1).unwrap();
        for n in 0..50 {
            set(&store, &format!("live{n}"), &"x".repeat(50)).unwrap();
        }
        disk.set_faults(Faults {
            room: Some(disk.used() + 6000),
            ..Faults::default()
        });
        let writes = fill(&store);
        for n in 0..50 {
            assert_eq!(get(&store, &format!("live{n}")), Some("x".repeat(50)));
        }
        assert_eq!(get(&store, "hot"), Some((writes - 1).to_string()));
        let unfinished = |name: &String| name.ends_with("unfinished");
        assert!(
            !disk.names().iter().any(unfinished),
            "compaction keeps room"
        );
        close(store);
        writes
    };
    assert_eq!(writes_until_full(5000), writes_until_full(u64::MAX));
}

/// Returns the number of bytes in unfinished segments.
fn unfinished_bytes(disk: &Disk) -> usize {
    let names = disk.names().into_iter();
    let unfinished = names.filter(|name| name.ends_with("segment.unfinished"));
    unfinished.map(|name| disk.bytes(&name).len()).sum()
}

/// If the free room is unknown, compaction has to try.
#[test]
fn a_compaction_without_enough_room_gives_all_of_it_back_at_once() {
    for remove in [false, true] {
        let disk = Disk::default();
        // There are 50 live records of 80 bytes with 1500 bytes of hints, and as many dead bytes in
        // 32 records of 127 bytes.
        let store = open_for_compaction(&disk, 50);
        let faults = Faults {
            room: Some(disk.used() + 9000),
            room_is_secret: true,
            remove,
            ..Faults::default()
        };
        disk.set_faults(faults);
        let mut tries = 0;
        for n in 0..42 {
            done(store.set("hot".to_owned(), format!("{n:100}"))).unwrap();
            let mut is_trying = false;
            while run_job() {
                is_trying |= unfinished_bytes(&disk) > 56;
            }
            tries += usize::from(is_trying);
            assert_eq!(unfinished_bytes(&disk), 0, "write {n}");
        }
        assert!(tries > 0, "compaction never tried");
        assert!(tries < 6, "compaction tried {tries} times for 42 writes");
        // With fewer live bytes, the output fits.
        disk.set_faults(Faults {
            room: Some(disk.used() + 40 * 30 + 1500),
            remove: false,
            ..faults
        });
        let before = disk.used();
        for n in 0..40 {
            done(store.remove(format!("live{n}"))).unwrap();
        }
        let shrinks = (0..200).any(|_| {
            run_jobs();
            done(store.set("hot".to_owned(), String::new())).unwrap();
            disk.used() < before - 3000
        });
        assert!(shrinks, "removing keys does not help");
        for n in 0..50 {
            let value = (n >= 40).then(|| "x".repeat(50));
            assert_eq!(get(&store, &format!("live{n}")), value);
        }
        close(store);
    }
}

#[test]
fn a_write_has_the_room_that_a_compaction_under_way_has_taken() {
    let disk = Disk::default();
    let store = open_for_compaction(&disk, 60);
    let mut n = 0;
    let is_unfinished = |name: &String| name.ends_with("segment.unfinished");
    let mut before = disk.used();
    // Run steps until some records have been copied.
    while disk.used() < before + 2000 || !disk.names().iter().any(is_unfinished) {
        if !disk.names().iter().any(is_unfinished) {
            done(store.set("hot".to_owned(), n.to_string())).unwrap();
            before = disk.used();
            n += 1;
        }
        run_job();
    }
    disk.set_faults(Faults {
        room: Some(disk.used()),
        ..Faults::default()
    });
    done(store.set("later".to_owned(), "y".repeat(500))).unwrap();
    assert!(!disk.names().iter().any(is_unfinished));
    run_jobs();
    disk.set_faults(Faults::default());
    assert_eq!(get(&store, "later"), Some("y".repeat(500)));
    for n in 0..60 {
        assert_eq!(get(&store, &format!("live{n}")), Some("x".repeat(50)));
    }
    let first = "0000000001.segment".to_owned();
    let is_compacted = (0..200).any(|n| {
        set(&store, "hot", &n.to_string()).unwrap();
        !disk.names().contains(&first)
    });
    assert!(is_compacted, "compaction never began again");
    close(store);
}

#[test]
fn without_room_for_a_new_segment_the_last_one_grows() {
    let disk = Disk::default();
    let options = options().segment_bytes(200).dead_bytes(u64::MAX);
    let store: KvStore<Later> = options.open_in(disk.clone(), 1).unwrap();
    while disk.used() < 290 {
        set(&store, "key", "value").unwrap();
    }
    let before = segments(&disk);
    disk.set_faults(Faults {
        room: Some(disk.used() + 40),
        ..Faults::default()
    });
    set(&store, "key", "last").unwrap();
    assert!(matches!(
        set(&store, "key", "refused"),
        Err(KvsError::StorageFull { .. })
    ));
    let names = disk.names();
    let is_left = |name: &String| name.ends_with("unfinished");
    assert_eq!(segments(&disk), before, "a refused write begins no segment");
    assert!(!names.iter().any(is_left), "a refused write leaves a file");
    disk.set_faults(Faults::default());
    assert_eq!(get(&store, "key").as_deref(), Some("last"));
    close(store);
}

/// Only the log may use the last room.
#[test]
fn hints_and_the_checkpoint_leave_the_last_room_to_writes() {
    for (room, are_there) in [(30, false), (100_000, true)] {
        let disk = Disk::default();
        let options = options().segment_bytes(2000).dead_bytes(u64::MAX);
        let store: KvStore<Later> = options.open_in(disk.clone(), 1).unwrap();
        disk.set_faults(Faults {
            room: Some(4000 + room),
            ..Faults::default()
        });
        while disk.used() < 4000 {
            set(&store, "key", "value").unwrap();
        }
        close(store);
        let names = disk.names();
        let has_hints = names.iter().any(|name| name.ends_with("hints"));
        let has_checkpoint = names.iter().any(|name| name == "kvs-checkpoint");
        assert_eq!(
            (has_hints, has_checkpoint),
            (are_there, are_there),
            "{names:?}"
        );
    }
}

#[test]
fn a_write_has_the_room_that_hints_under_way_have_taken() {
    let disk = Disk::default();
    let options = options().segment_bytes(1 << 20).dead_bytes(u64::MAX);
    let store: KvStore<Later> = options.open_in(disk.clone(), 1).unwrap();
    let hints = || {
        let names = disk.names().into_iter();
        let hints = names.filter(|name| name.ends_with("hints.unfinished"));
        hints.map(|name| disk.bytes(&name).len()).sum::<usize>()
    };
    while hints() == 0 {
        set(&store, "key", "value").unwrap();
    }
    disk.set_faults(Faults {
        room: Some(disk.used()),
        ..Faults::default()
    });
    set(&store, "another key", "value").unwrap();
    assert_eq!(hints(), 0);
    close(store);
}

#[test]
fn a_write_that_a_full_disk_refused_does_not_return_after_a_power_cut() {
    for seed in 0..400 {
        let disk = Disk::default();
        let store = open(&disk, SyncLevel::Never);
        disk.set_faults(Faults {
            room: Some(disk.used() + 60),
            ..Faults::default()
        });
        let refused = ["aa", "bb", "cc"].map(|key| store.set(key.to_owned(), String::new()));
        for refused in refused {
            assert!(matches!(done(refused), Err(KvsError::StorageFull { .. })));
        }
        disk.set_faults(Faults::default());
        set(&store, "dd", "").unwrap();
        run_jobs();
        disk.cut_power(&mut SmallRng::seed_from_u64(seed));
        drop(store);
        let store = open(&disk, SyncLevel::Never);
        for key in ["aa", "bb", "cc"] {
            assert_eq!(get(&store, key), None, "seed {seed}: {key} came back");
        }
        close(store);
    }
}
