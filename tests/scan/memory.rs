//! The memory of a scan, which does not grow with the store.

use futures::{Async, Future, future};
use kvs::engine::{EngineFuture, KvStoreOptions, MAX_PAGE_BYTES, Page};
use kvs::{KvStore, KvsEngine};

use super::first;
use crate::common::later::{Later, done, run_jobs};
use crate::common::pages;

#[test]
fn a_scan_of_many_keys_holds_a_page_at_a_time() {
    const KEYS: usize = 200_000;
    let dir = tempfile::tempdir().unwrap();
    // The jobs run on this thread, whose allocations are counted.
    let store: KvStore<Later> = KvStoreOptions::default().open(dir.path(), 1).unwrap();
    let sets: Vec<_> = (0..KEYS)
        .map(|n| store.set(n.to_string(), format!("{n:050}")))
        .collect();
    for set in sets {
        done(set).unwrap();
    }
    run_jobs();
    let mut found = 0;
    let allocated = allocation_counter::measure(|| {
        let pages = pages(first(1000), |scan| done(store.scan(scan)));
        found = pages.map(|page| page.pairs.len()).sum();
    });
    assert_eq!(found, KEYS);
    let max = allocated.bytes_max;
    assert!(max < 2 * MAX_PAGE_BYTES as u64, "{max} bytes at once");
    assert!(
        allocated.bytes_current <= 0,
        "{} bytes stay",
        allocated.bytes_current
    );
}

#[test]
fn long_values_are_read_when_their_pages_are_wanted_and_then_their_size_is_known() {
    const LEN: usize = 4 * MAX_PAGE_BYTES;
    let dir = tempfile::tempdir().unwrap();
    let store: KvStore<Later> = KvStoreOptions::default().open(dir.path(), 1).unwrap();
    done(store.set("key".to_owned(), "x".repeat(LEN))).unwrap();
    run_jobs();
    let mut scans = Vec::new();
    let allocated = allocation_counter::measure(|| {
        for _ in 0..10 {
            let mut scan = store.scan(first(1));
            assert!(poll(&mut scan).is_not_ready());
            run_jobs();
            scans.push(scan);
        }
    });
    let kept = allocated.bytes_current;
    assert!(kept < LEN as i64, "{kept} bytes wait for a poll");
    for mut scan in scans {
        assert!(poll(&mut scan).is_not_ready());
        assert!(scan.size() >= LEN);
        run_jobs();
        let Async::Ready(page) = poll(&mut scan) else {
            panic!("the page is not there");
        };
        let [(key, value)] = &page.pairs[..] else {
            panic!("{} pairs", page.pairs.len());
        };
        assert_eq!((&**key, value.as_ref().unwrap().len()), ("key", LEN));
    }
}

fn poll(scan: &mut EngineFuture<Page>) -> Async<Page> {
    done(future::lazy(|| scan.poll())).unwrap()
}
