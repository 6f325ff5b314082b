//! Scans of the engine on sled.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use futures::Future;
use kvs::engine::{MAX_PAGE_BYTES, MAX_PAGE_PAIRS, Page, Scan};
use kvs::protocol::MAX_FRAME_LEN;
use kvs::{KvsEngine, KvsError, Result, SledKvsEngine};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::{Sled, open_sled, pairs, set};
use crate::common::{number, pages};

/// Pieces of keys, among them the smallest and the largest characters.
const PIECES: [&str; 7] = ["", "\0", "a", "b", "ab", "ü", "\u{10ffff}"];

fn pages_of(engine: &Sled, scan: Scan) -> Vec<Page> {
    pages(scan, |scan| engine.scan(scan).wait()).collect()
}

fn random_key(rng: &mut SmallRng) -> String {
    let mut piece = || PIECES[rng.random_range(0..PIECES.len())];
    [piece(), piece(), piece(), piece()].concat()
}

#[test]
fn a_scan_returns_the_pairs_of_a_map_in_the_order_of_the_keys() {
    let first = number("KVS_SEED", 1);
    for seed in first..first + number("KVS_HISTORIES", 3) {
        println!("KVS_SEED={seed}");
        let mut rng = SmallRng::seed_from_u64(seed);
        let dir = tempfile::tempdir().unwrap();
        let engine = open_sled(&dir);
        let mut map = BTreeMap::new();
        for n in 0..300 {
            let (key, value) = (random_key(&mut rng), n.to_string());
            if rng.random_ratio(1, 4) {
                let removed = engine.remove(key.clone()).wait();
                assert_eq!(removed.is_ok(), map.remove(&key).is_some());
            } else {
                set(&engine, &key, &value);
                map.insert(key, value);
            }
        }
        for _ in 0..100 {
            let prefix = [random_key(&mut rng), String::new()][rng.random_range(0..2)].clone();
            let scan = Scan {
                limit: [0, 1, 2, 7, 1000, usize::MAX][rng.random_range(0..6)],
                keys_only: rng.random(),
                ..Scan::prefix(prefix)
            };
            let pages = pages_of(&engine, scan.clone());
            assert!(
                pages
                    .iter()
                    .all(|page| page.pairs.len() <= scan.limit.max(1))
            );
            let pairs = pages.into_iter().flat_map(|page| page.pairs);
            let value = |value: &String| (!scan.keys_only).then(|| value.clone());
            let expected = map
                .iter()
                .filter(|(key, _)| key.starts_with(&scan.prefix))
                .map(|(key, it)| (key.clone(), value(it)));
            assert!(pairs.eq(expected), "{scan:?}");
        }
    }
}

#[test]
fn a_page_has_a_limit_of_pairs_and_one_of_bytes() {
    let db = sled::Config::new().temporary(true).open().unwrap();
    for n in 0..MAX_PAGE_PAIRS + 1 {
        db.insert(format!("short{n:05}"), "").unwrap();
    }
    for n in 0..3 {
        db.insert(format!("long{n}"), vec![b'x'; MAX_PAGE_BYTES / 2])
            .unwrap();
    }
    let engine = Sled::new(db, 2).unwrap();
    let lens = |pages: Vec<Page>| -> Vec<_> { pages.iter().map(|page| page.pairs.len()).collect() };
    let limit = usize::MAX;
    let scan = |prefix: &str| Scan {
        limit,
        ..Scan::prefix(prefix)
    };
    assert_eq!(lens(pages_of(&engine, scan("short"))), [MAX_PAGE_PAIRS, 1]);
    assert_eq!(lens(pages_of(&engine, scan("long"))), [1, 1, 1]);
    let keys_only = true;
    let keys = pages_of(
        &engine,
        Scan {
            keys_only,
            ..scan("long")
        },
    );
    assert_eq!(lens(keys), [3]);
}

#[test]
fn the_longest_pair_has_a_page_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_sled(&dir);
    set(&engine, "a", &"x".repeat(MAX_PAGE_BYTES - 100));
    set(&engine, "b", &"x".repeat(MAX_FRAME_LEN));
    set(&engine, "c", "");
    let pages = pages_of(&engine, Scan::prefix(""));
    let keys = pages.iter().map(|page| {
        let keys = page.pairs.iter().map(|(key, _)| key.as_str());
        keys.collect::<Vec<_>>()
    });
    assert_eq!(keys.collect::<Vec<_>>(), [["a"], ["b"], ["c"]]);
}

#[test]
fn a_cursor_is_good_for_any_scan_of_any_time() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_sled(&dir);
    for key in ["a", "b1", "b2", "b3", "c"] {
        set(&engine, key, "value");
    }
    let first = Scan {
        limit: 3,
        ..Scan::prefix("")
    };
    let cursor = engine.scan(first).wait().unwrap().cursor;
    assert!(cursor.is_some());
    drop(engine);
    let engine = open_sled(&dir);
    // The key that the cursor names is gone, and the next one is new.
    engine.remove("b2".to_owned()).wait().unwrap();
    set(&engine, "b21", "value");
    let rest = |prefix: &str| {
        let cursor = cursor.clone();
        let pages = pages_of(
            &engine,
            Scan {
                cursor,
                ..Scan::prefix(prefix)
            },
        );
        pairs(pages).into_keys().collect::<Vec<_>>()
    };
    assert_eq!(rest(""), ["b21", "b3", "c"]);
    assert_eq!(rest("b"), ["b21", "b3"]);
    assert_eq!(rest("c"), ["c"]);
    assert!(rest("a").is_empty());
}

#[test]
fn a_cursor_of_another_engine_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_sled(&dir);
    for text in ["", "sled", "kvs:1", "17", "key"] {
        let cursor = Some(text.to_owned());
        let page = engine
            .scan(Scan {
                cursor,
                ..Scan::prefix("")
            })
            .wait();
        match page.unwrap_err() {
            KvsError::BadCursor { cursor } => assert_eq!(cursor, text),
            other => panic!("{other}"),
        }
    }
}

#[test]
fn an_error_repeats_only_the_beginning_of_a_long_cursor() {
    let dir = tempfile::tempdir().unwrap();
    let scan = Scan {
        cursor: Some("\"".repeat(MAX_FRAME_LEN / 2)),
        ..Scan::prefix("")
    };
    let error = open_sled(&dir).scan(scan).wait().unwrap_err();
    assert!(matches!(error, KvsError::BadCursor { .. }));
    assert!(error.to_string().len() < 1000);
}

#[test]
fn a_key_or_a_value_that_is_not_utf_8_is_an_error_of_its_page() {
    let db = sled::Config::new().temporary(true).open().unwrap();
    db.insert("a", "value").unwrap();
    db.insert("b", b"\xff").unwrap();
    db.insert(b"c\xff", "value").unwrap();
    let engine = SledKvsEngine::new(db, 2).unwrap();
    let scan = |prefix: &str, keys_only| {
        let scan = Scan {
            keys_only,
            ..Scan::prefix(prefix)
        };
        let engine: &Sled = &engine;
        engine.scan(scan).wait()
    };
    let not_utf_8 = |page: Result<Page>| match page.unwrap_err() {
        KvsError::NotUtf8 { key } => key,
        other => panic!("{other}"),
    };
    assert_eq!(scan("a", false).unwrap().pairs.len(), 1);
    assert_eq!(not_utf_8(scan("", false)), "b");
    assert_eq!(scan("b", true).unwrap().pairs.len(), 1);
    assert_eq!(not_utf_8(scan("c", true)), "c\u{fffd}");
}

#[test]
fn keys_that_stay_are_returned_once_while_others_are_written() {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_sled(&dir);
    for n in 0..500 {
        set(&engine, &format!("{n:03}/stays"), "value");
    }
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        for writer in 0..2 {
            let (engine, is_over) = (engine.clone(), &is_over);
            scope.spawn(move || {
                let mut rng = SmallRng::seed_from_u64(writer);
                while !is_over.load(Ordering::Relaxed) {
                    let key = format!("{:03}/{writer}", rng.random_range(0..500));
                    set(&engine, &key, &"x".repeat(rng.random_range(0..2000)));
                    engine.remove(key).wait().unwrap();
                }
            });
        }
        for limit in [1, 10, 100].repeat(3) {
            let pages = pages_of(
                &engine,
                Scan {
                    limit,
                    ..Scan::prefix("")
                },
            );
            let keys = pairs(pages).into_keys();
            let stay = keys.filter(|key| key.ends_with("/stays"));
            assert_eq!(stay.count(), 500);
        }
        is_over.store(true, Ordering::Relaxed);
    });
}
