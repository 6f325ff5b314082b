//! What a cursor survives, and which cursors are refused.

use std::collections::BTreeSet;
use std::path::Path;

use futures::Future;
use kvs::engine::{KvStoreOptions, Scan};
use kvs::{KvsEngine, KvsError};
use proptest::prelude::*;

use super::{Open, Pairs, compact, first, for_both_engines, options, page, pairs, set, set_all};

for_both_engines!(
    a_cursor_survives_a_restart,
    a_cursor_survives_compaction_and_a_restart,
    a_cursor_survives_compaction_of_a_large_store,
    a_cursor_survives_compaction_of_long_values,
    a_cursor_survives_the_removal_of_its_pair,
    a_cursor_can_be_used_twice,
    cursors_of_other_stores_are_refused,
    a_cursor_of_writes_that_the_store_never_had_is_refused,
    garbage_is_refused,
    numbers_that_no_store_has_do_no_harm,
);

/// Returns the first page, and the scan of the rest.
fn begin(store: &impl KvsEngine, limit: usize) -> (Pairs, Scan) {
    let mut scan = first(limit);
    let page = page(store, &scan).unwrap();
    scan.cursor = page.cursor;
    assert!(scan.cursor.is_some());
    (page.pairs, scan)
}

fn is_refused(store: &impl KvsEngine, cursor: &str) -> bool {
    let mut scan = first(10);
    scan.cursor = Some(cursor.to_owned());
    match page(store, &scan) {
        Err(KvsError::BadCursor { cursor: named }) => {
            assert!(cursor.starts_with(&named));
            true
        }
        Err(error) => panic!("{error}"),
        Ok(_) => false,
    }
}

fn fill(store: &impl KvsEngine, pairs: usize, value_len: usize) {
    let value = "x".repeat(value_len);
    set_all(
        store,
        (0..pairs).map(|n| (n.to_string(), format!("{n}{value}"))),
    );
}

/// Scans the first pairs of a filled store, changes it, and scans the rest. No pair may be lost or
/// returned twice.
fn continue_after<E: Open>(
    options: &KvStoreOptions,
    (pairs, value_len): (usize, usize),
    limit: usize,
    change: impl FnOnce(E, &Path) -> E,
) {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(options, dir.path());
    fill(&store, pairs, value_len);
    let (mut found, rest) = begin(&store, limit);
    let store = change(store, dir.path());
    found.extend(super::pairs(&store, &rest));
    let keys = found.iter().map(|(key, _)| key.parse::<usize>().unwrap());
    assert!(keys.eq(0..pairs), "{} pairs", found.len());
}

fn a_cursor_survives_a_restart<E: Open>() {
    let options = options(1000, 1000);
    continue_after::<E>(&options, (100, 10), 30, |store, dir| {
        drop(store);
        E::open(&options, dir)
    });
}

/// Compacts the store, which leaves it with the same pairs.
fn compact_only<E: Open>(store: &E, dir: &Path) {
    compact(store, dir, "other");
    super::remove(store, "other");
}

fn a_cursor_survives_compaction_and_a_restart<E: Open>() {
    let options = options(1000, 1000);
    for limit in [1, 30, 99] {
        continue_after::<E>(&options, (100, 10), limit, |store, dir| {
            compact_only(&store, dir);
            drop(store);
            E::open(&options, dir)
        });
    }
}

fn a_cursor_survives_compaction_of_a_large_store<E: Open>() {
    let options = options(1 << 20, 1000);
    for limit in [1, 1000] {
        let dir = tempfile::tempdir().unwrap();
        let store = E::open(&options, dir.path());
        // 8 MB, which are more than a page reads.
        fill(&store, 8000, 1000);
        let mut scan = first(limit);
        let next = |scan: &mut Scan| {
            let page = page(&store, scan).unwrap();
            scan.cursor = page.cursor;
            page.pairs
        };
        let mut expected = 0..8000;
        for _ in 0..20 {
            for (key, _) in next(&mut scan) {
                assert_eq!(Some(key), expected.next().map(|n| n.to_string()));
            }
        }
        overwrite_until_compacted(&store, dir.path());
        let pairs = next(&mut scan);
        assert!(!pairs.is_empty(), "the place was not found at once");
        for (key, _) in pairs {
            assert_eq!(Some(key), expected.next().map(|n| n.to_string()));
        }
    }
}

/// Compacts a store that has many live bytes, with long values.
fn overwrite_until_compacted(store: &impl KvsEngine, dir: &Path) {
    let long = "x".repeat(1 << 20);
    let oldest = dir.join("0000000001.segment");
    while oldest.exists() {
        set(store, "other", &long);
    }
    super::remove(store, "other");
}

fn a_cursor_survives_compaction_of_long_values<E: Open>() {
    let options = options(1 << 20, 1000);
    continue_after::<E>(&options, (6, 2 << 20), 3, |store, dir| {
        overwrite_until_compacted(&store, dir);
        store
    });
}

fn a_cursor_survives_the_removal_of_its_pair<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&options(1000, 1000), dir.path());
    fill(&store, 100, 10);
    let (_, rest) = begin(&store, 50);
    super::remove(&store, "49");
    compact_only(&store, dir.path());
    let keys = pairs(&store, &rest).into_iter().map(|(key, _)| key);
    assert!(keys.eq((50..100).map(|n| n.to_string())));
}

fn a_cursor_can_be_used_twice<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&options(1000, 1000), dir.path());
    fill(&store, 100, 10);
    let (_, rest) = begin(&store, 50);
    assert_eq!(pairs(&store, &rest), pairs(&store, &rest));
}

fn cursors_of_other_stores_are_refused<E: Open>() {
    let options = options(1000, u64::MAX);
    for (len, other_len) in [(10, 10), (10, 20), (20, 10)] {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [store, other] = [&dirs[0], &dirs[1]].map(|dir| E::open(&options, dir.path()));
        fill(&store, 100, len);
        let value = "y".repeat(other_len);
        set_all(&other, (0..100).map(|n| (n.to_string(), value.clone())));
        for limit in [1, 50, 99] {
            let cursor = begin(&other, limit).1.cursor.unwrap();
            assert!(!is_refused(&other, &cursor));
            assert!(is_refused(&store, &cursor), "{cursor}");
        }
    }
}

fn a_cursor_of_writes_that_the_store_never_had_is_refused<E: Open>() {
    let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [store, older] = [&dirs[0], &dirs[1]].map(tempfile::TempDir::path);
    let options = options(500, 500);
    let opened = E::open(&options, store);
    fill(&opened, 20, 10);
    drop(opened);
    for file in store.read_dir().unwrap() {
        let file = file.unwrap();
        std::fs::copy(file.path(), older.join(file.file_name())).unwrap();
    }
    let store = E::open(&options, store);
    let older = E::open(&options, older);
    set_all(&store, (20..40).map(|n| (n.to_string(), "new".to_owned())));
    for (limit, is_known) in [(20, true), (21, false), (39, false)] {
        let cursor = begin(&store, limit).1.cursor.unwrap();
        assert_eq!(is_refused(&older, &cursor), !is_known, "{limit}");
    }
    // The numbers are taken again, by other writes.
    set_all(&older, (20..40).map(|n| (n.to_string(), "old".to_owned())));
    let cursor = begin(&store, 30).1.cursor.unwrap();
    assert!(is_refused(&older, &cursor));
}

fn garbage_is_refused<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&options(200, 200), dir.path());
    fill(&store, 20, 10);
    for cursor in [
        "",
        "0",
        "-",
        "----",
        "00-0-0-0",
        "ü",
        "AAAA",
        &"0".repeat(1 << 20),
    ] {
        assert!(is_refused(&store, cursor), "{cursor}");
    }
    proptest!(ProptestConfig::with_cases(200), |(cursor in ".*")| {
        prop_assert!(is_refused(&store, &cursor));
    });
}

/// Cursors in the form that the store writes, with wrong numbers.
fn numbers_that_no_store_has_do_no_harm<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&options(200, 200), dir.path());
    fill(&store, 20, 10);
    let all: BTreeSet<_> = pairs(&store, &first(100)).into_iter().collect();
    let cursor = begin(&store, 10).1.cursor.unwrap();
    let fields: Vec<u64> = cursor
        .split('-')
        .map(|field| u64::from_str_radix(field, 16).unwrap())
        .collect();
    let number = || {
        let near = prop_oneof![Just(-1i64), Just(1), -300..300i64];
        prop_oneof![
            3 => Just(None),
            1 => any::<u64>().prop_map(Some),
            1 => (60..64u32, any::<bool>()).prop_map(|(bits, is_less)| {
                Some((1u64 << bits).wrapping_sub(is_less.into()))
            }),
            2 => near.prop_map(|n| Some(n as u64)),
        ]
    };
    let numbers = proptest::collection::vec(number(), 4);
    proptest!(ProptestConfig::with_cases(500), |(numbers in numbers)| {
        let mut cursor = format!("{:02x}", fields[0]);
        for (field, number) in fields[1..].iter().zip(numbers) {
            let field = match number {
                None => *field,
                // A small number is a difference.
                Some(n) if (n as i64).unsigned_abs() <= 300 => field.wrapping_add(n),
                Some(n) => n,
            };
            cursor += &format!("-{field:x}");
        }
        let mut scan = first(100);
        scan.cursor = Some(cursor);
        match store.scan(scan).wait() {
            Ok(page) => prop_assert!(page.pairs.iter().all(|pair| all.contains(pair))),
            Err(KvsError::BadCursor { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    });
}
