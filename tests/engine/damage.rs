//! Torn tails, damaged records and unknown versions.

use futures::future::Future;
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine, KvsError};

use super::{get, open, set, uncached};

/// A value cannot imitate a record, because the checksum of a header includes a salt.
#[test]
fn a_torn_value_that_looks_like_records_is_still_a_torn_tail() {
    let (dir, store) = open::<KvStore<SharedQueueThreadPool>>(1);
    let segment = dir.path().join("0000000001.segment");
    // Thousands of headers without the salt, each of a long record.
    let mut forged = Vec::new();
    forged.extend(crc32fast::hash(b"body").to_le_bytes());
    forged.extend([[0, 0, 0, 0], [0, 0, 1, 0], [20, 0, 0, 0], [0, 0, 0, 0]].concat());
    let forged = [&crc32fast::hash(&forged).to_le_bytes()[..], &forged].concat();
    let ascii: Vec<_> = forged.iter().map(|byte| byte & 0x7f).collect();
    let value = String::from_utf8(ascii).unwrap().repeat(40_000);
    set(&store, "key1", "value1");
    set(&store, "key2", &(value + "cut off"));
    drop(store);
    let bytes = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &bytes[..bytes.len() - 3]).unwrap();
    let store = KvStore::<SharedQueueThreadPool>::open(dir.path(), 1).unwrap();
    assert_eq!(get(&store, "key1").as_deref(), Some("value1"));
    assert_eq!(get(&store, "key2"), None);
}

#[test]
fn a_torn_tail_is_cut_and_everything_before_it_is_there() {
    let (dir, store) = open::<KvStore<SharedQueueThreadPool>>(1);
    set(&store, "key1", "value1");
    set(&store, "key2", "value2");
    drop(store);
    let segment = dir.path().join("0000000001.segment");
    let whole = std::fs::read(&segment).unwrap();
    std::fs::write(&segment, &whole[..whole.len() - 1]).unwrap();

    let store = KvStore::<SharedQueueThreadPool>::open(dir.path(), 1).unwrap();
    assert_eq!(get(&store, "key1").as_deref(), Some("value1"));
    assert_eq!(get(&store, "key2"), None);
    set(&store, "key3", "value3");
    drop(store);
    let store = KvStore::<SharedQueueThreadPool>::open(dir.path(), 1).unwrap();
    assert_eq!(get(&store, "key1").as_deref(), Some("value1"));
    assert_eq!(get(&store, "key3").as_deref(), Some("value3"));
}

#[test]
fn damage_before_the_tail_is_refused_with_file_and_offset() {
    let (dir, store) = open::<KvStore<SharedQueueThreadPool>>(1);
    set(&store, "key1", "value1");
    set(&store, "key2", "value2");
    drop(store);
    let segment = dir.path().join("0000000001.segment");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[56 + 24] ^= 1; // the first byte of the first key
    std::fs::write(&segment, &bytes).unwrap();

    let error = KvStore::<SharedQueueThreadPool>::open(dir.path(), 1)
        .err()
        .unwrap();
    let KvsError::Damaged { file, offset, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((file, offset), (segment.clone(), 56));
    assert_eq!(std::fs::read(&segment).unwrap(), bytes);
}

#[test]
fn a_value_damaged_under_an_open_store_is_an_error_and_never_a_value() {
    let dir = tempfile::tempdir().unwrap();
    let store = uncached(&dir, 1);
    set(&store, "key", "value");
    let segment = dir.path().join("0000000001.segment");
    let mut bytes = std::fs::read(&segment).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&segment, &bytes).unwrap();
    let got = store.get("key".to_owned()).wait();
    assert!(matches!(got, Err(KvsError::Damaged { offset: 56, .. })));
}

#[test]
fn a_newer_format_is_refused_by_its_version() {
    let (dir, store) = open::<KvStore<SharedQueueThreadPool>>(1);
    drop(store);
    let segment = dir.path().join("0000000001.segment");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[8] = 4;
    let checksum = crc32fast::hash(&bytes[..12]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    // The rest of the header depends on the version.
    bytes.truncate(16);
    std::fs::write(&segment, &bytes).unwrap();
    let error = KvStore::<SharedQueueThreadPool>::open(dir.path(), 1)
        .err()
        .unwrap();
    assert!(matches!(error, KvsError::UnknownVersion { found: 4, .. }));
}
