//! Syncs, reads and truncations that fail.

use std::collections::BTreeMap;

use kvs::engine::SyncLevel;
use kvs::{KvStore, KvsEngine, KvsError, Result};
use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::{LEVELS, get, key, open, options, set};
use crate::common::disk::{Disk, Faults};
use crate::common::later::{Later, close, done, run_jobs};

/// After a failed sync the contents of the disk are unknown, so the store refuses writes.
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

/// The failed sync is that of a write, of a new segment, of a compaction or of the watermark. The
/// system drops the bytes that it could not write, shows them until it restarts, and reports
/// success for the next sync.
#[test]
fn whichever_sync_fails_nothing_acknowledged_is_lost() {
    for opens_again in [false, true] {
        let mut failed = 0;
        for n in 0.. {
            let mut rng = SmallRng::seed_from_u64(n);
            let disk = Disk::default();
            let mut store = open(&disk, SyncLevel::Always);
            disk.fail_sync_after(n as u32);
            // The last acknowledged value, and all values that were tried since.
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
                // The failing sync may be one of opening the store.
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
    assert!(error.contains("at byte 56"), "{error}");
    disk.set_faults(Faults::default());
    assert_eq!(get(&store, "key").as_deref(), Some("value"));
    close(store);
}

/// Some file systems in user space and some network file systems cannot sync directories.
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
                error.contains("/disk") && error.contains("another sync level"),
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
