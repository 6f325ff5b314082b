//! Compaction frees space and keeps the live records.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;

use futures::future::{self, Future};
use kvs::thread_pool::{NaiveThreadPool, RayonThreadPool, SharedQueueThreadPool, ThreadPool};
use kvs::{KvStore, KvsEngine, KvsError};

use super::{get, open, set, uncached};
use crate::common::size_of_files;

#[test]
fn setting_the_same_keys_over_and_over_makes_the_directory_smaller_in_the_end() {
    fn check<P: ThreadPool>(concurrency: u32) {
        let dir = tempfile::tempdir().unwrap();
        let often = KvStore::<P>::options().dead_bytes(1024 * 1024);
        let store: KvStore<P> = often.open(dir.path(), concurrency).unwrap();
        let mut size = size_of_files(dir.path());
        let shrunk_after = (0..1000).find(|round| {
            for key in 0..1000 {
                set(&store, &format!("key{key}"), &format!("{round:100}"));
            }
            let before = std::mem::replace(&mut size, size_of_files(dir.path()));
            size < before
        });
        let round = shrunk_after.expect("the directory never got smaller");
        drop(store);
        let store = KvStore::<P>::open(dir.path(), concurrency).unwrap();
        for key in 0..1000 {
            assert_eq!(
                get(&store, &format!("key{key}")),
                Some(format!("{round:100}"))
            );
        }
    }
    for concurrency in [1, 8] {
        check::<NaiveThreadPool>(concurrency);
        check::<SharedQueueThreadPool>(concurrency);
        check::<RayonThreadPool>(concurrency);
    }
}

/// The limit on dead bytes follows the number of live bytes.
#[test]
fn short_values_set_over_and_over_make_the_directory_smaller_at_the_default_settings() {
    let dir = tempfile::tempdir().unwrap();
    let store: KvStore<RayonThreadPool> = KvStore::open(dir.path(), 1).unwrap();
    let mut sizes = vec![size_of_files(dir.path())];
    let round = (0..1000).find(|round| {
        let sets = (0..1000).map(|key| store.set(format!("key{key}"), format!("{round}")));
        future::join_all(sets.collect::<Vec<_>>()).wait().unwrap();
        sizes.push(size_of_files(dir.path()));
        !sizes.is_sorted_by(|size, next| size < next)
    });
    let largest = sizes.iter().max().unwrap();
    let round = round.unwrap_or_else(|| panic!("the directory only grew, to {largest} bytes"));
    assert!(*largest < 16 * 1024 * 1024, "{largest} bytes");
    drop(store);
    let store: KvStore<RayonThreadPool> = KvStore::open(dir.path(), 1).unwrap();
    for key in 0..1000 {
        assert_eq!(get(&store, &format!("key{key}")), Some(format!("{round}")));
    }
}

/// While the log is rewritten, removed keys stay removed, values stay right, and readers continue.
#[test]
fn compaction_keeps_live_records_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let store = uncached(&dir, 4);
    let value = |round: usize, key: usize| format!("{key}-{round}-{}", "x".repeat(1000));
    let mut model = HashMap::new();
    for round in 0..40 {
        let writes = (0..200).map(|key| store.set(key.to_string(), value(round, key)));
        let writes = future::join_all(writes.collect::<Vec<_>>());
        let reads = (0..200).map(|key| store.get(key.to_string()));
        let reads = future::join_all(reads.collect::<Vec<_>>()).wait().unwrap();
        for (key, read) in reads.into_iter().enumerate() {
            let read = read.map_or(-1, |read| {
                let mut parts = read.split('-');
                assert_eq!(parts.next(), Some(key.to_string().as_str()));
                parts.next().unwrap().parse().unwrap()
            });
            assert!(read <= round as i32, "a value from the future");
        }
        writes.wait().unwrap();
        model.extend((0..200).map(|key| (key, value(round, key))));
        for key in (round % 7..200).step_by(7) {
            store.remove(key.to_string()).wait().unwrap();
            model.remove(&key);
        }
    }
    // The last compaction may take a while.
    let live: usize = model.values().map(String::len).sum();
    while size_of_files(dir.path()) as usize > 8 * live {
        set(&store, "0", "value");
        model.insert(0, "value".to_owned());
    }
    drop(store);
    let store = KvStore::<SharedQueueThreadPool>::open(dir.path(), 4).unwrap();
    for key in 0..200 {
        assert_eq!(get(&store, &key.to_string()), model.get(&key).cloned());
    }
}

/// With small segments the log starts many new ones while one compaction runs.
#[test]
fn segments_sealed_during_a_compaction_keep_their_records() {
    let dir = tempfile::tempdir().unwrap();
    let options = KvStore::<SharedQueueThreadPool>::options().segment_bytes(100_000);
    let store: KvStore<SharedQueueThreadPool> = options.open(dir.path(), 2).unwrap();
    let value = |round: usize, key: usize| format!("{round}-{key}").repeat(2000);
    for round in 0..8 {
        let sets = (0..400).map(|key| store.set(key.to_string(), value(round, key)));
        let sets = sets.collect::<Vec<_>>();
        let fresh = store.set(format!("only in {round}"), round.to_string());
        future::join_all(sets).join(fresh).wait().unwrap();
    }
    let check = |store: &KvStore<SharedQueueThreadPool>| {
        for key in 0..400 {
            assert!(get(store, &key.to_string()) == Some(value(7, key)));
        }
        for round in 0..8 {
            let fresh = get(store, &format!("only in {round}"));
            assert_eq!(fresh, Some(round.to_string()));
        }
    };
    check(&store);
    drop(store);
    check(&options.open(dir.path(), 2).unwrap());
}

/// A record that compaction cannot read stays in its segment.
#[test]
fn a_record_damaged_before_a_compaction_is_an_error_after_it_too() {
    let dir = tempfile::tempdir().unwrap();
    let store = uncached(&dir, 1);
    set(&store, "damaged", "value");
    let segment = dir.path().join("0000000001.segment");
    let file = std::fs::OpenOptions::new()
        .write(true)
        .open(&segment)
        .unwrap();
    file.write_all_at(b"D", 56 + 24).unwrap();
    for round in 0..5000 {
        set(&store, "key", &format!("{round:1000}"));
    }
    let damaged = store.get("damaged".to_owned()).wait();
    assert!(matches!(damaged, Err(KvsError::Damaged { .. })));
    assert!(segment.exists());
    drop(store);
    let opened = KvStore::<SharedQueueThreadPool>::open(dir.path(), 1);
    assert!(matches!(opened.err(), Some(KvsError::Damaged { .. })));
}

#[test]
fn files_of_an_interrupted_compaction_are_removed() {
    let (dir, store) = open::<KvStore<SharedQueueThreadPool>>(1);
    set(&store, "key", "value");
    drop(store);
    let path = |name: &str| dir.path().join(name);
    // An unpublished segment is ignored, whatever its bytes are.
    std::fs::write(path("0000000002.segment.unfinished"), "half a segment").unwrap();
    // A name that is only similar does not belong to the store.
    std::fs::write(path("+000000003.segment"), "a stranger's").unwrap();
    // A published output of compaction, beside the segment that it replaces.
    let mut bytes = std::fs::read(path("0000000001.segment")).unwrap();
    let len = bytes.len() as u64;
    bytes[16] = 4;
    bytes[24] = 1;
    bytes[32..40].copy_from_slice(&len.to_le_bytes());
    let digest = crc32fast::hash(&bytes[56..60]).to_le_bytes();
    bytes[40..44].copy_from_slice(&digest);
    let checksum = crc32fast::hash(&bytes[16..52]).to_le_bytes();
    bytes[52..56].copy_from_slice(&checksum);
    std::fs::write(path("0000000004.segment"), bytes).unwrap();
    // Hints without a segment.
    std::fs::write(path("0000000001.hints"), "hints").unwrap();

    let store = KvStore::<SharedQueueThreadPool>::open(dir.path(), 1).unwrap();
    assert_eq!(get(&store, "key").as_deref(), Some("value"));
    assert!(!path("0000000001.segment").exists());
    assert!(!path("0000000001.hints").exists());
    assert!(!path("0000000002.segment.unfinished").exists());
    assert!(path("+000000003.segment").exists());
}
