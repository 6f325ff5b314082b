//! Scans of a log that the disk has damaged.

use std::fs;

use futures::Future;
use kvs::KvsError;

use super::{Open, first, for_both_engines, options, page, set};

for_both_engines!(damage_is_the_error_that_a_read_finds_and_nothing_is_skipped);

fn damage_is_the_error_that_a_read_finds_and_nothing_is_skipped<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&options(1000, u64::MAX).cache_bytes(0), dir.path());
    for key in ["a", "b", "c", "d"] {
        set(&store, key, &"value of a pair".repeat(10));
    }
    let path = dir.path().join("0000000001.segment");
    let mut bytes = fs::read(&path).unwrap();
    let values = bytes.windows(5).enumerate();
    let values: Vec<_> = values.filter(|(_, bytes)| bytes == b"value").collect();
    let in_c = values[20].0;
    bytes[in_c] ^= 1;
    fs::write(&path, bytes).unwrap();

    let place = |error| match error {
        KvsError::Damaged { file, offset, .. } => (file, offset),
        error => panic!("{error}"),
    };
    let of_get = place(store.get("c".to_owned()).wait().unwrap_err());
    assert!(of_get.1 < in_c as u64);
    let before = page(&store, &first(2)).unwrap();
    let keys = before.pairs.iter().map(|(key, _)| key);
    assert!(keys.eq(["a", "b"]));
    let mut rest = first(2);
    rest.cursor = before.cursor;
    for scan in [first(100), rest] {
        assert_eq!(place(page(&store, &scan).unwrap_err()), of_get);
    }
}
