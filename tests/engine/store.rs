//! A `KvStore`: batches, sync levels, limits, and failures around it.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use futures::future::Future;
use kvs::engine::SyncLevel;
use kvs::thread_pool::{RayonThreadPool, SharedQueueThreadPool};
use kvs::{KvStore, KvsEngine, KvsError, SledKvsEngine};

use super::common::disk::Disk;
use super::{get, open, owned, set};

#[test]
fn a_panic_beside_a_write_does_not_stop_the_store() {
    let (_dir, store) = open::<KvStore<SharedQueueThreadPool>>(2);
    let write = KvsEngine::set(&store, "key1".to_owned(), "value1".to_owned());
    let panic = std::panic::catch_unwind(AssertUnwindSafe(|| {
        let _write = write;
        panic!("on purpose");
    }));
    assert!(panic.is_err());
    assert_eq!(get(&store, "key1").as_deref(), Some("value1"));
    set(&store, "key2", "value2");
    assert_eq!(get(&store, "key2").as_deref(), Some("value2"));
}

#[test]
fn a_directory_has_one_user_at_a_time() {
    let (dir, store) = open::<KvStore<RayonThreadPool>>(1);
    let second = KvStore::<RayonThreadPool>::open(dir.path(), 1);
    let error = second.err().unwrap();
    assert!(matches!(error, KvsError::Locked { .. }));
    assert!(error.to_string().contains(dir.path().to_str().unwrap()));
    drop(store);
    KvStore::<RayonThreadPool>::open(dir.path(), 1).unwrap();
}

#[test]
fn every_sync_level_keeps_written_values() {
    for level in [SyncLevel::Always, SyncLevel::EverySec, SyncLevel::Never] {
        let dir = tempfile::tempdir().unwrap();
        let options = KvStore::<SharedQueueThreadPool>::options().sync(level);
        for round in 0..3 {
            let store = options
                .open::<SharedQueueThreadPool>(dir.path(), 2)
                .unwrap();
            if round > 0 {
                assert_eq!(get(&store, "round"), Some((round - 1).to_string()));
            }
            set(&store, "round", &round.to_string());
        }
        let dir = tempfile::tempdir().unwrap();
        for round in 0..3 {
            let sled = SledKvsEngine::<SharedQueueThreadPool>::open(dir.path(), level, 2).unwrap();
            if round > 0 {
                assert_eq!(get(&sled, "round"), Some((round - 1).to_string()));
            }
            set(&sled, "round", &round.to_string());
        }
    }
}

#[test]
fn clients_that_a_sync_has_answered_share_the_next_one() {
    const WRITES: u64 = 20;
    let disk = Disk::default();
    let options = KvStore::<SharedQueueThreadPool>::options().sync(SyncLevel::Always);
    let store: KvStore<SharedQueueThreadPool> = options.open_in(disk.clone(), 2).unwrap();
    set(&store, "first", "value");
    let before = disk.steps();
    set(&store, "second", "value");
    let alone = disk.steps() - before;

    disk.set_sync_time(Duration::from_millis(40));
    let before = disk.steps();
    thread::scope(|scope| {
        for key in ["a", "b"] {
            let store = &store;
            scope.spawn(move || (0..WRITES).for_each(|n| set(store, key, &n.to_string())));
        }
    });
    let commits = (disk.steps() - before) / alone;
    // If each write had a sync of its own, there would be 40. Each delay of a thread may cost one.
    assert!(commits < WRITES * 3 / 2, "{commits} commits");
}

#[test]
fn keys_and_values_over_the_limit_are_refused() {
    let (_dir, store) = open::<KvStore<SharedQueueThreadPool>>(1);
    let long = "x".repeat(64 * 1024 + 1);
    let refused = store.set(long.clone(), String::new()).wait();
    assert!(matches!(
        refused,
        Err(KvsError::TooLarge { what: "key", .. })
    ));
    set(&store, "key", &long);
}

#[test]
fn a_batch_sees_its_own_writes() {
    let (_dir, store) = open::<KvStore<SharedQueueThreadPool>>(1);
    let store = Arc::new(store);
    let [key, value] = owned(["key", "value"]);
    let first = store.set(key.clone(), value.clone());
    let second = store.remove(key.clone());
    let third = store.remove(key.clone());
    let fourth = store.set(key.clone(), value.clone());
    first.wait().unwrap();
    second.wait().unwrap();
    assert!(matches!(third.wait(), Err(KvsError::KeyNotFound)));
    fourth.wait().unwrap();
    assert_eq!(get(&*store, "key"), Some(value));
}
