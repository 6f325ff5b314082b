//! What the pages of a scan have while nothing is written.

use std::collections::BTreeSet;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex};

use futures::executor::{self, Notify};
use kvs::engine::{KvStoreOptions, MAX_PAGE_BYTES, MAX_PAGE_PAIRS, Page, Scan};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine};

use super::{
    Open, compact, contents, first, for_both_engines, options, page, pages, pairs, remove, set,
    set_all,
};
use crate::common::PATIENCE;

for_both_engines!(
    every_pair_is_returned_once_whatever_the_sizes,
    pairs_are_returned_in_the_order_of_the_last_writes,
    a_store_without_pairs_has_one_empty_page,
    a_prefix_selects_keys,
    a_scan_of_keys_has_no_values,
    removed_and_overwritten_pairs_are_not_returned,
    a_long_value_ends_its_page,
    a_value_that_is_longer_than_a_page_is_alone_in_its_page,
    a_limit_that_makes_no_sense_is_the_nearest_one_that_does,
    a_page_reads_a_bounded_part_of_the_log,
    a_scan_sees_all_writes_that_are_complete,
);

fn every_pair_is_returned_once_whatever_the_sizes<E: Open>() {
    for segment_bytes in [100, 1000, 64 * 1024 * 1024] {
        let dir = tempfile::tempdir().unwrap();
        let store = E::open(&options(segment_bytes, 1000), dir.path());
        let written = (0..300).map(|n| (format!("k{}", n % 200), format!("v{n}")));
        set_all(&store, written);
        for limit in [1, 7, 100, 200, 1000] {
            let pairs = pairs(&store, &first(limit));
            assert_eq!(pairs.len(), 200, "{segment_bytes} {limit}");
            let pairs: BTreeSet<_> = pairs.into_iter().collect();
            let expected = (100..300).map(|n| (format!("k{}", n % 200), Some(format!("v{n}"))));
            assert_eq!(pairs, expected.collect());
        }
    }
}

fn pairs_are_returned_in_the_order_of_the_last_writes<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&options(500, 200), dir.path());
    for key in ["b", "a", "c", "b"] {
        set(&store, key, "v");
    }
    compact(&store, dir.path(), "z");
    let keys = pairs(&store, &first(2)).into_iter().map(|(key, _)| key);
    assert_eq!(keys.collect::<Vec<_>>(), ["a", "c", "b", "z"]);
}

fn a_store_without_pairs_has_one_empty_page<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&KvStoreOptions::default(), dir.path());
    assert_eq!(page(&store, &first(10)).unwrap(), Default::default());
}

fn a_prefix_selects_keys<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&options(200, 200), dir.path());
    for key in [
        "", "user", "user:1", "use", "user:ü", "user:", "User:1", "xuser:",
    ] {
        set(&store, key, key);
    }
    for limit in [1, 2, 100] {
        let scan = Scan {
            limit,
            ..Scan::prefix("user:")
        };
        let keys = pairs(&store, &scan).into_iter().map(|(key, _)| key);
        assert_eq!(keys.collect::<Vec<_>>(), ["user:1", "user:ü", "user:"]);
    }
    assert!(pairs(&store, &Scan::prefix("nobody")).is_empty());
}

fn a_scan_of_keys_has_no_values<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&KvStoreOptions::default(), dir.path());
    set(&store, "a", &"long".repeat(MAX_PAGE_BYTES));
    set(&store, "b", "");
    let scan = Scan {
        keys_only: true,
        ..first(10)
    };
    let expected = ["a", "b"].map(|key| (key.to_owned(), None));
    assert_eq!(pairs(&store, &scan), expected);
}

fn removed_and_overwritten_pairs_are_not_returned<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&KvStoreOptions::default(), dir.path());
    for value in ["1", "2", "3"] {
        for key in ["gone", "stays", "comes back"] {
            set(&store, key, value);
        }
    }
    remove(&store, "gone");
    remove(&store, "comes back");
    set(&store, "comes back", "4");
    let expected = [("stays", "3"), ("comes back", "4")];
    let expected = expected.map(|(key, value)| (key.to_owned(), Some(value.to_owned())));
    assert_eq!(pairs(&store, &first(1)), expected);
}

fn a_long_value_ends_its_page<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&KvStoreOptions::default(), dir.path());
    // Three pairs fit exactly.
    let value = "x".repeat(MAX_PAGE_BYTES / 3 - 1);
    set_all(&store, (0..10).map(|n| (n.to_string(), value.clone())));
    let pages: Vec<_> = pages(&store, &first(100)).collect();
    let lens: Vec<_> = pages.iter().map(|page| page.pairs.len()).collect();
    assert_eq!(lens, [3, 3, 3, 1]);
}

fn a_value_that_is_longer_than_a_page_is_alone_in_its_page<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&KvStoreOptions::default(), dir.path());
    let long = "x".repeat(2 * 1024 * 1024);
    for (key, value) in [("1", "short"), ("2", &long), ("3", &long), ("4", "short")] {
        set(&store, key, value);
    }
    let keys: Vec<Vec<_>> = pages(&store, &first(100))
        .map(|page| page.pairs.into_iter().map(|(key, _)| key).collect())
        .collect();
    assert_eq!(keys, [["1"], ["2"], ["3"], ["4"]]);
}

fn a_limit_that_makes_no_sense_is_the_nearest_one_that_does<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&KvStoreOptions::default(), dir.path());
    let pairs = 0..MAX_PAGE_PAIRS + 1;
    set_all(&store, pairs.map(|n| (n.to_string(), String::new())));
    assert_eq!(page(&store, &first(0)).unwrap().pairs.len(), 1);
    let all = page(&store, &first(usize::MAX)).unwrap();
    assert_eq!(all.pairs.len(), MAX_PAGE_PAIRS);
}

fn a_page_reads_a_bounded_part_of_the_log<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&options(64 << 20, u64::MAX), dir.path());
    let value = "x".repeat(100_000);
    set_all(&store, (0..100).map(|_| ("dead".to_owned(), value.clone())));
    set(&store, "last", "1");
    let pages: Vec<_> = pages(&store, &Scan::prefix("last")).collect();
    // 10 MB of the log, of which each page reads 1 MiB and the rest of a record.
    assert_eq!(pages.len(), 10);
    assert!(pages[..9].iter().all(|page| page.pairs.is_empty()));
    assert_eq!(contents(&store).len(), 2);
}

fn a_scan_sees_all_writes_that_are_complete<E: Open>() {
    let dir = tempfile::tempdir().unwrap();
    let store = E::open(&options(200, 500), dir.path());
    for n in 1..=100 {
        set(&store, &n.to_string(), "v");
        assert_eq!(pairs(&store, &first(1000)).len(), n);
    }
}

/// Scans when it is woken, which a thread of the pool does.
struct ScanWhenWoken<E>(E, Mutex<Sender<Page>>);

impl<E: Open> Notify for ScanWhenWoken<E> {
    fn notify(&self, _: usize) {
        let page = page(&self.0, &first(1)).unwrap();
        // The test may have what it wants from an earlier call.
        let _ = self.1.lock().unwrap().send(page);
    }
}

#[test]
fn a_scan_does_not_wait_for_the_thread_that_it_is_called_on() {
    type Store = KvStore<SharedQueueThreadPool>;
    let dir = tempfile::tempdir().unwrap();
    let store: Store = KvStoreOptions::default().open(dir.path(), 1).unwrap();
    set(&store, "k", "v");
    let (sender, pages) = mpsc::channel();
    let notify = Arc::new(ScanWhenWoken(store.clone(), Mutex::new(sender)));
    let page = loop {
        let mut task = executor::spawn(store.scan(first(1)));
        // If the job was faster than the poll, there is no task to wake.
        if task.poll_future_notify(&notify, 0).unwrap().is_ready() {
            continue;
        }
        break pages.recv_timeout(PATIENCE).unwrap();
    };
    assert_eq!(page.pairs.len(), 1);
}
