//! The memory of a scan, which does not grow with the store.

use kvs::engine::{KvStoreOptions, MAX_PAGE_BYTES};
use kvs::{KvStore, KvsEngine};

use super::first;
use crate::common::later::{Later, done, run_jobs};

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
        let mut scan = first(1000);
        loop {
            let page = done(store.scan(scan.clone())).unwrap();
            found += page.pairs.len();
            scan.cursor = page.cursor;
            if scan.cursor.is_none() {
                break;
            }
        }
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
