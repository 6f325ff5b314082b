//! A limit on the size of files.

use kvs::engine::SyncLevel;
use kvs::{KvStore, KvsEngine, KvsError};

use super::{LEVELS, get, key, open, options, set};
use crate::common::disk::{Disk, Faults};
use crate::common::later::{Later, close, done};

#[test]
fn if_a_file_may_not_grow_writes_continue_in_the_next() {
    for level in LEVELS {
        let disk = Disk::default();
        let options = options().segment_bytes(1 << 20).sync(level);
        let options = options.dead_bytes(u64::MAX);
        let store: KvStore<Later> = options.open_in(disk.clone(), 1).unwrap();
        disk.set_faults(Faults {
            file_size: Some(300),
            ..Faults::default()
        });
        for n in 0..100 {
            set(&store, &key(n), &n.to_string()).unwrap();
            // No file can hold this value, so the store does not seal a segment for it.
            let segments = disk.names().len();
            let refused = set(&store, "long", &"x".repeat(300))
                .unwrap_err()
                .to_string();
            assert!(
                refused.contains("300") && refused.contains("ulimit -f"),
                "{refused}"
            );
            assert!(disk.names().len() == segments);
        }
        let check = |store: &KvStore<Later>| {
            for n in 95..100 {
                assert_eq!(get(store, &key(n)), Some(n.to_string()));
            }
            assert_eq!(get(store, "long"), None);
        };
        check(&store);
        close(store);
        disk.set_faults(Faults::default());
        let store = open(&disk, level);
        check(&store);
        close(store);
    }
}

/// If a batch is too long for any file, its writes may still fit one by one.
#[test]
fn if_a_file_may_not_grow_each_write_of_a_batch_is_judged_alone() {
    let disk = Disk::default();
    let options = options().segment_bytes(1 << 20).dead_bytes(u64::MAX);
    let store: KvStore<Later> = options.open_in(disk.clone(), 1).unwrap();
    disk.set_faults(Faults {
        file_size: Some(300),
        ..Faults::default()
    });
    let set = |n: usize, value: String| store.set(n.to_string(), value);
    let short: Vec<_> = (0..20).map(|n| set(n, n.to_string().repeat(20))).collect();
    let long = set(20, "x".repeat(300));
    let removed = store.remove("3".to_owned());
    let missing = store.remove("none".to_owned());
    let found = store.get_in_order("7".to_owned());
    for short in short {
        done(short).unwrap();
    }
    assert!(matches!(done(long), Err(KvsError::Io { .. })));
    done(removed).unwrap();
    assert!(matches!(done(missing), Err(KvsError::KeyNotFound)));
    assert_eq!(done(found).unwrap(), Some("7".repeat(20)));
    close(store);
    disk.set_faults(Faults::default());
    let store = open(&disk, SyncLevel::EverySec);
    for n in 0..21 {
        let value = (n != 3 && n != 20).then(|| n.to_string().repeat(20));
        assert_eq!(get(&store, &n.to_string()), value);
    }
    close(store);
}
