//! What a store does when its disk is full, cannot sync or cannot read.

mod common;

use std::collections::BTreeMap;

use common::disk::{Disk, Faults};
use common::later::{Later, done, run_job, run_jobs};
use kvs::engine::{KvStoreOptions, SyncLevel};
use kvs::{KvStore, KvsEngine, KvsError, Result};
use rand::SeedableRng;
use rand::rngs::SmallRng;

fn options() -> KvStoreOptions {
    KvStore::<Later>::options()
        .segment_bytes(200)
        .dead_bytes(300)
}

fn open(disk: &Disk, level: SyncLevel) -> KvStore<Later> {
    options().sync(level).open_in(disk.clone(), 1).unwrap()
}

fn close(store: KvStore<Later>) {
    run_jobs();
    drop(store);
}

/// Sets a key, and does what is then to be done in the background.
fn set(store: &KvStore<Later>, key: &str, value: &str) -> Result<()> {
    let result = done(store.set(key.to_owned(), value.to_owned()));
    run_jobs();
    result
}

fn get(store: &KvStore<Later>, key: &str) -> Option<String> {
    done(store.get(key.to_owned())).unwrap()
}

fn key(n: usize) -> String {
    format!("key{}", n % 5)
}

const LEVELS: [SyncLevel; 3] = [SyncLevel::Always, SyncLevel::EverySec, SyncLevel::Never];

/// The disk fills up anywhere: in a write, at the start of a segment, in a
/// compaction, in hints.
#[test]
fn a_full_disk_fails_that_write_and_nothing_else() {
    for level in LEVELS {
        let mut failures = 0;
        for room in (150..800).step_by(5) {
            let disk = Disk::default();
            let store = open(&disk, level);
            let mut contents = BTreeMap::new();
            for n in 0..40 {
                // Now and then there is room for a while.
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
fn a_compaction_that_met_a_full_disk_goes_on_when_there_is_room() {
    let disk = Disk::default();
    let options = options().segment_bytes(u64::MAX);
    let store: KvStore<Later> = options.open_in(disk.clone(), 1).unwrap();
    for n in 0..4 {
        set(&store, &key(n), &"x".repeat(50)).unwrap();
    }
    let mut n = 100;
    while disk.names().contains(&"0000000001.segment".to_owned()) {
        // Once it has begun there is room for the next write, and not for what it writes itself.
        let names = disk.names();
        let has_begun = names.iter().any(|name| name.ends_with("unfinished"));
        disk.set_faults(Faults {
            room: (has_begun && n < 200).then(|| disk.used() + 31),
            ..Faults::default()
        });
        done(store.set("key4".to_owned(), n.to_string())).unwrap();
        match has_begun {
            true => run_jobs(),
            false => drop(run_job()),
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

/// Once a sync has failed nobody knows what is on the disk, so the store does not pretend to.
fn writes_stop_and_reads_go_on(level: SyncLevel, faults: Faults) {
    let disk = Disk::default();
    let store = open(&disk, level);
    set(&store, "before", "1").unwrap();
    disk.set_faults(faults);
    let first = (0..)
        .map(|n| {
            let set = set(&store, "during", &n.to_string());
            set.and_then(|()| match level {
                SyncLevel::EverySec => done(store.sync()),
                _ => Ok(()),
            })
        })
        .find_map(Result::err)
        .unwrap();
    assert!(first.to_string().contains("sync"), "{first}");
    disk.set_faults(Faults::default());
    let next = set(&store, "after", "3");
    let Err(KvsError::EngineStopped { reason }) = next else {
        panic!("{next:?}");
    };
    assert!(reason.contains("sync"), "{reason}");
    let removed = done(store.remove("before".to_owned()));
    assert!(matches!(removed, Err(KvsError::EngineStopped { .. })));
    assert_eq!(get(&store, "before").as_deref(), Some("1"));
    assert_eq!(get(&store, "after"), None);
    close(store);
    let store = open(&disk, level);
    assert_eq!(get(&store, "before").as_deref(), Some("1"));
    assert_eq!(get(&store, "after"), None);
    set(&store, "after", "4").unwrap();
    close(store);
}

#[test]
fn after_a_failed_sync_nothing_is_written_until_the_store_is_opened_again() {
    for level in LEVELS {
        let faults = Faults {
            sync_file: true,
            ..Faults::default()
        };
        writes_stop_and_reads_go_on(level, faults);
    }
}

#[test]
fn after_a_failed_sync_of_the_directory_nothing_is_written_either() {
    for level in LEVELS {
        let faults = Faults {
            sync_names: true,
            ..Faults::default()
        };
        writes_stop_and_reads_go_on(level, faults);
    }
}

/// In a write, at the start of a segment, in a compaction, with the watermark: the system drops
/// what it could not write, shows it as long as it is up, and says yes to the next sync.
#[test]
fn whichever_sync_fails_nothing_acknowledged_is_lost() {
    for opens_again in [false, true] {
        let mut failed = 0;
        for n in 0.. {
            let mut rng = SmallRng::seed_from_u64(n);
            let disk = Disk::default();
            let mut store = open(&disk, SyncLevel::Always);
            disk.fail_sync_after(n as u32);
            // What was acknowledged last, and all that was tried since.
            let mut possible = BTreeMap::<String, Vec<Option<String>>>::new();
            let mut write = |store: &KvStore<Later>, n: usize| {
                let values = possible.entry(key(n)).or_insert(vec![None]);
                let value = n.to_string().repeat(n % 7);
                let set = set(store, &key(n), &value);
                if set.is_ok() {
                    values.clear();
                }
                values.push(Some(value));
                set.is_ok()
            };
            let writes = (0..40).take_while(|n| write(&store, *n)).count();
            if opens_again {
                close(store);
                // That may be where it fails.
                let options = options().sync(SyncLevel::Always);
                let again = options.open_in(disk.clone(), 1);
                store = again.unwrap_or_else(|_| open(&disk, SyncLevel::Always));
                let wrote = (writes..writes + 5).filter(|n| write(&store, *n)).count();
                assert!(wrote == 5 || !disk.is_sync_still_to_fail());
            }
            run_jobs();
            drop(store);
            let is_over = disk.is_sync_still_to_fail();
            disk.fail_sync_after(u32::MAX);
            disk.cut_power(&mut rng);
            let store = open(&disk, SyncLevel::Always);
            for (key, values) in possible {
                let got = get(&store, &key);
                assert!(
                    values.contains(&got),
                    "sync {n}: {key} is {got:?} and not one of {values:?}"
                );
            }
            close(store);
            if is_over {
                break;
            }
            failed += 1;
        }
        assert!(failed > 50, "there were only {failed} syncs");
    }
}

#[test]
fn what_a_full_disk_has_refused_does_not_come_back_with_a_power_cut() {
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

#[test]
fn a_half_written_record_that_cannot_be_cut_off_stops_the_writes() {
    let disk = Disk::default();
    let store = open(&disk, SyncLevel::EverySec);
    set(&store, "key1", "1").unwrap();
    disk.set_faults(Faults {
        room: Some(disk.used() + 10),
        truncate: true,
        ..Faults::default()
    });
    let full = set(&store, "key2", "2");
    assert!(matches!(full, Err(KvsError::StorageFull { .. })));
    disk.set_faults(Faults::default());
    let stopped = set(&store, "key2", "2");
    assert!(matches!(stopped, Err(KvsError::EngineStopped { .. })));
    close(store);
    let store = open(&disk, SyncLevel::EverySec);
    assert_eq!(get(&store, "key1").as_deref(), Some("1"));
    assert_eq!(get(&store, "key2"), None);
    close(store);
}

#[test]
fn a_failed_read_names_file_and_offset_and_is_not_for_ever() {
    let disk = Disk::default();
    let store: KvStore<Later> = options().cache_bytes(0).open_in(disk.clone(), 1).unwrap();
    set(&store, "key", "value").unwrap();
    disk.set_faults(Faults {
        read: true,
        ..Faults::default()
    });
    let error = done(store.get("key".to_owned())).unwrap_err().to_string();
    assert!(error.contains("/disk/0000000001.segment"), "{error}");
    assert!(error.contains("at byte 48"), "{error}");
    disk.set_faults(Faults::default());
    assert_eq!(get(&store, "key").as_deref(), Some("value"));
    close(store);
}

/// Some file systems in user space and of other machines are like that.
#[test]
fn a_file_system_that_cannot_sync_directories_is_refused_at_always_and_good_enough_otherwise() {
    for level in LEVELS {
        let disk = Disk::default();
        disk.set_faults(Faults {
            no_sync_of_names: true,
            ..Faults::default()
        });
        if level == SyncLevel::Always {
            let opened: Result<KvStore<Later>> = options().sync(level).open_in(disk, 1);
            let error = opened.map(drop).unwrap_err().to_string();
            assert!(
                error.contains("/disk") && error.contains("--sync"),
                "{error}"
            );
            continue;
        }
        for _ in 0..2 {
            let store = open(&disk, level);
            for n in 0..40 {
                set(&store, &key(n), &n.to_string()).unwrap();
            }
            close(store);
        }
        let store = open(&disk, level);
        for n in 35..40 {
            assert_eq!(get(&store, &key(n)), Some(n.to_string()));
        }
        close(store);
    }
}
