//! Scans while other keys are written and everything is compacted all the time.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use futures::Future;
use kvs::engine::Scan;

use super::{Open, compact, first, for_both_engines, options, page, pages, pairs, set, set_all};

for_both_engines!(
    pairs_that_stay_are_all_returned_whatever_is_written_and_compacted,
    a_compaction_between_two_pages_repeats_and_loses_nothing,
    a_scan_ends_with_every_pair_that_the_store_has,
);

/// Sets a flag when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn pairs_that_stay_are_all_returned_whatever_is_written_and_compacted<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&options(2000, 3000), dir.path());
    let mut expected: Vec<_> = (0..200)
        .map(|n| (format!("stays {n}"), format!("value {n}")))
        .collect();
    set_all(&store, expected.clone().into_iter());
    expected.sort();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            for n in (0..).take_while(|_| !is_over.load(Ordering::Relaxed)) {
                let key = format!("changes {}", n % 10);
                let written = match n % 4 {
                    3 => store.remove(key).wait(),
                    _ => store.set(key, format!("changed {n}")).wait(),
                };
                // Nobody else writes, so only a removal of a removed key fails.
                let _ = written;
            }
        });
        // The writer ends even if a check fails.
        let _over = Over(&is_over);
        for limit in (0..60).map(|n| [1, 10, 1000][n % 3]) {
            let stay = Scan {
                limit,
                ..Scan::prefix("stays")
            };
            let mut stayed = pairs(&store, &stay);
            stayed.sort();
            let stayed = stayed.into_iter().map(|(key, value)| (key, value.unwrap()));
            assert_eq!(stayed.collect::<Vec<_>>(), expected);
            let changed = page(&store, &Scan::prefix("changes")).unwrap().pairs;
            for (key, value) in changed {
                let value = value.unwrap();
                let n: usize = value.strip_prefix("changed ").unwrap().parse().unwrap();
                assert_eq!(key, format!("changes {}", n % 10));
            }
        }
    });
}

fn a_compaction_between_two_pages_repeats_and_loses_nothing<E: Open>() {
    for limit in [1, 10, 99] {
        let dir = tempfile::tempdir().unwrap();
        let store = E::open(&options(2000, 3000), dir.path());
        set_all(&store, (0..100).map(|n| (format!("s{n}"), n.to_string())));
        let scan = Scan {
            limit,
            ..Scan::prefix("s")
        };
        let mut found = Vec::new();
        for page in pages(&store, &scan) {
            found.extend(page.pairs.into_iter().map(|(key, _)| key));
            if found.len() % 5 == 0 || limit > 1 {
                compact(&store, dir.path(), "other");
            }
        }
        let expected: Vec<_> = (0..100).map(|n| format!("s{n}")).collect();
        assert_eq!(found, expected);
    }
}

/// A scan with the newest value of each key is a copy of the store, although the store was written
/// while it was copied.
fn a_scan_ends_with_every_pair_that_the_store_has<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&options(500, 1000), dir.path());
    let mut model = BTreeMap::new();
    let mut write = |n: usize| {
        let (key, value) = ((n * 7 % 50).to_string(), n.to_string());
        set(&store, &key, &value);
        model.insert(key, value);
    };
    (0..100).for_each(&mut write);
    let mut copy = BTreeMap::new();
    let mut scan = first(10);
    for n in 100.. {
        let page = page(&store, &scan).unwrap();
        let pairs = page.pairs.into_iter();
        copy.extend(pairs.map(|(key, value)| (key, value.unwrap())));
        scan.cursor = page.cursor;
        if scan.cursor.is_none() {
            break;
        }
        if n < 200 {
            write(n);
        }
    }
    assert_eq!(copy, model);
    let keys: BTreeSet<_> = pairs(&store, &first(10)).into_iter().collect();
    assert_eq!(keys.len(), model.len());
}
