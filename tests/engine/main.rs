//! What every engine promises on every thread pool.

use std::collections::HashMap;
use std::os::unix::fs::FileExt;
use std::panic::AssertUnwindSafe;
use std::path::Path;
use std::sync::Arc;

use futures::future::{self, Future};
use kvs::engine::SyncLevel;
use kvs::thread_pool::{NaiveThreadPool, RayonThreadPool, SharedQueueThreadPool, ThreadPool};
use kvs::{KvStore, KvsEngine, KvsError, Result, SledKvsEngine, TokioFsEngine};
use tempfile::TempDir;
use walkdir::WalkDir;

/// An engine that can be opened, so that a test need not know which.
trait Open: KvsEngine {
    fn open(dir: &Path, concurrency: u32) -> Result<Self>;
}

impl<P: ThreadPool> Open for KvStore<P> {
    fn open(dir: &Path, concurrency: u32) -> Result<Self> {
        KvStore::<P>::open(dir, concurrency)
    }
}

impl Open for TokioFsEngine {
    fn open(dir: &Path, concurrency: u32) -> Result<Self> {
        TokioFsEngine::open(dir, concurrency)
    }
}

impl<P: ThreadPool> Open for SledKvsEngine<P> {
    fn open(dir: &Path, concurrency: u32) -> Result<Self> {
        SledKvsEngine::<P>::open(dir, SyncLevel::EverySec, concurrency)
    }
}

/// Calls each of these generic functions as a test: every engine on every pool, of one thread and
/// of eight.
macro_rules! for_every_engine {
    ($tests:tt) => {
        for_every_engine!(@engine kv_store KvStore $tests);
        for_every_engine!(@engine sled_engine SledKvsEngine $tests);
        for_every_engine!(@tests tokio_fs (crate::TokioFsEngine) $tests);
    };
    (@engine $name:ident $engine:ident $tests:tt) => {
        mod $name {
            for_every_engine!(@pool naive $engine NaiveThreadPool $tests);
            for_every_engine!(@pool shared_queue $engine SharedQueueThreadPool $tests);
            for_every_engine!(@pool rayon $engine RayonThreadPool $tests);
        }
    };
    (@pool $name:ident $engine:ident $pool:ident $tests:tt) => {
        for_every_engine!(@tests $name (crate::$engine<crate::$pool>) $tests);
    };
    (@tests $name:ident ($engine:ty) { $($test:ident),* $(,)? }) => {
        mod $name {
            $(#[test]
            fn $test() {
                for concurrency in [1, 8] {
                    crate::$test::<$engine>(concurrency);
                }
            })*
        }
    };
}

for_every_engine!({
    a_value_that_was_set_is_there,
    a_missing_key_has_no_value,
    a_value_can_be_overwritten,
    a_removed_key_is_gone,
    removing_a_missing_key_is_key_not_found,
    any_string_is_a_key_and_a_value,
    values_are_there_after_opening_again,
    a_store_can_be_opened_again_right_after_its_drop,
    many_tasks_can_set_and_get_at_once,
    many_futures_can_be_under_way_together,
    futures_are_send_and_outlive_their_engine,
    an_engine_of_no_threads_is_an_error,
});

fn owned<const N: usize>(strings: [&str; N]) -> [String; N] {
    strings.map(str::to_owned)
}

fn set(engine: &impl KvsEngine, key: &str, value: &str) {
    let [key, value] = owned([key, value]);
    engine.set(key, value).wait().unwrap();
}

fn get(engine: &impl KvsEngine, key: &str) -> Option<String> {
    engine.get(key.to_owned()).wait().unwrap()
}

fn open<E: Open>(concurrency: u32) -> (TempDir, E) {
    let dir = tempfile::tempdir().unwrap();
    let engine = E::open(dir.path(), concurrency).unwrap();
    (dir, engine)
}

fn a_value_that_was_set_is_there<E: Open>(concurrency: u32) {
    let (_dir, engine) = open::<E>(concurrency);
    set(&engine, "key1", "value1");
    set(&engine, "key2", "value2");
    assert_eq!(get(&engine, "key1").as_deref(), Some("value1"));
    assert_eq!(get(&engine, "key2").as_deref(), Some("value2"));
}

fn a_missing_key_has_no_value<E: Open>(concurrency: u32) {
    let (_dir, engine) = open::<E>(concurrency);
    assert_eq!(get(&engine, "key"), None);
    set(&engine, "key1", "value1");
    assert_eq!(get(&engine, "key2"), None);
}

fn a_value_can_be_overwritten<E: Open>(concurrency: u32) {
    let (_dir, engine) = open::<E>(concurrency);
    set(&engine, "key", "value1");
    set(&engine, "key", "value2");
    assert_eq!(get(&engine, "key").as_deref(), Some("value2"));
}

fn a_removed_key_is_gone<E: Open>(concurrency: u32) {
    let (dir, engine) = open::<E>(concurrency);
    set(&engine, "key", "value");
    engine.remove("key".to_owned()).wait().unwrap();
    assert_eq!(get(&engine, "key"), None);
    drop(engine);
    let engine = E::open(dir.path(), concurrency).unwrap();
    assert_eq!(get(&engine, "key"), None);
}

fn removing_a_missing_key_is_key_not_found<E: Open>(concurrency: u32) {
    let (_dir, engine) = open::<E>(concurrency);
    let removed = engine.remove("key".to_owned()).wait();
    assert!(matches!(removed, Err(KvsError::KeyNotFound)));
}

fn any_string_is_a_key_and_a_value<E: Open>(concurrency: u32) {
    let (dir, engine) = open::<E>(concurrency);
    let long = "long ".repeat(50_000);
    let strings = ["", " ", "\0", "näive ключ 鍵 🔑", "\"quoted\"\n", &long];
    for string in strings {
        // sled has a limit of its own to the length of a key, and kvs one that is lower.
        let key = &string[..string.len().min(1000)];
        set(&engine, key, string);
    }
    let check = |engine: &E| {
        for string in strings {
            let key = &string[..string.len().min(1000)];
            assert_eq!(get(engine, key).as_deref(), Some(string));
        }
    };
    check(&engine);
    drop(engine);
    check(&E::open(dir.path(), concurrency).unwrap());
}

fn values_are_there_after_opening_again<E: Open>(concurrency: u32) {
    let (dir, engine) = open::<E>(concurrency);
    set(&engine, "key1", "value1");
    set(&engine, "key2", "value2");
    set(&engine, "key1", "value3");
    drop(engine);
    let engine = E::open(dir.path(), concurrency).unwrap();
    assert_eq!(get(&engine, "key1").as_deref(), Some("value3"));
    assert_eq!(get(&engine, "key2").as_deref(), Some("value2"));
    set(&engine, "key2", "value4");
    assert_eq!(get(&engine, "key2").as_deref(), Some("value4"));
}

fn a_store_can_be_opened_again_right_after_its_drop<E: Open>(concurrency: u32) {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let engine = E::open(dir.path(), concurrency).unwrap();
        if round > 0 {
            assert_eq!(get(&engine, "round"), Some((round - 1).to_string()));
        }
        set(&engine, "round", &round.to_string());
        // The future that nobody waits for is the one whose job may still run at the drop.
        drop(engine.set(round.to_string(), "x".repeat(10_000)));
        drop(engine.get("round".to_owned()));
    }
}

fn many_tasks_can_set_and_get_at_once<E: Open>(concurrency: u32) {
    let (dir, engine) = open::<E>(concurrency);
    let mut runtime = tokio::runtime::Runtime::new().unwrap();
    let task = |engine: E, n: usize| {
        let (key, value) = (format!("key{n}"), format!("value{n}"));
        let set = engine.set(key.clone(), value.clone());
        set.and_then(move |()| engine.get(key))
            .map(move |got| assert_eq!(got, Some(value)))
    };
    let tasks: Vec<_> = (0..500)
        .map(|n| {
            let engine = engine.clone();
            futures::sync::oneshot::spawn(
                future::lazy(move || task(engine, n)),
                &runtime.executor(),
            )
        })
        .collect();
    runtime.block_on(future::join_all(tasks)).unwrap();
    runtime.shutdown_now().wait().unwrap();
    drop(engine);

    let engine = E::open(dir.path(), concurrency).unwrap();
    for n in 0..500 {
        assert_eq!(get(&engine, &format!("key{n}")), Some(format!("value{n}")));
    }
}

fn many_futures_can_be_under_way_together<E: Open>(concurrency: u32) {
    let (_dir, engine) = open::<E>(concurrency);
    let sets = (0..1000).map(|n| engine.set(format!("key{n}"), format!("value{n}")));
    future::join_all(sets.collect::<Vec<_>>()).wait().unwrap();
    let gets = (0..1000).map(|n| engine.get(format!("key{n}")));
    let values = future::join_all(gets.collect::<Vec<_>>()).wait().unwrap();
    for (n, value) in values.into_iter().enumerate() {
        assert_eq!(value, Some(format!("value{n}")));
    }
}

fn futures_are_send_and_outlive_their_engine<E: Open>(concurrency: u32) {
    let (_dir, engine) = open::<E>(concurrency);
    let [key, value] = owned(["key", "value"]);
    let set = engine.set(key.clone(), value.clone());
    std::thread::spawn(move || set.wait())
        .join()
        .unwrap()
        .unwrap();
    let get = engine.get(key);
    drop(engine);
    let got = std::thread::spawn(move || get.wait()).join().unwrap();
    assert_eq!(got.unwrap(), Some(value));
}

fn an_engine_of_no_threads_is_an_error<E: Open>(_: u32) {
    let dir = tempfile::tempdir().unwrap();
    let engine = E::open(dir.path(), 0);
    assert!(matches!(engine, Err(KvsError::NoThreads)));
}

fn dir_size(dir: &TempDir) -> u64 {
    // A file may be unlinked while we look; then it takes no space.
    let entries = WalkDir::new(dir.path()).into_iter();
    let metadata = entries.filter_map(|entry| entry.ok()?.metadata().ok());
    metadata.map(|metadata| metadata.len()).sum()
}

#[test]
fn a_panic_beside_a_write_stops_nobody() {
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
fn setting_the_same_keys_over_and_over_makes_the_directory_smaller_in_the_end() {
    fn check<P: ThreadPool>(concurrency: u32) {
        let dir = tempfile::tempdir().unwrap();
        let often = KvStore::<P>::options().dead_bytes(1024 * 1024);
        let store: KvStore<P> = often.open(dir.path(), concurrency).unwrap();
        let mut size = dir_size(&dir);
        let shrunk_after = (0..1000).find(|round| {
            for key in 0..1000 {
                set(&store, &format!("key{key}"), &format!("{round:100}"));
            }
            let before = std::mem::replace(&mut size, dir_size(&dir));
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
    let mut sizes = vec![dir_size(&dir)];
    let round = (0..1000).find(|round| {
        let sets = (0..1000).map(|key| store.set(format!("key{key}"), format!("{round}")));
        future::join_all(sets.collect::<Vec<_>>()).wait().unwrap();
        sizes.push(dir_size(&dir));
        !sizes.is_sorted_by(|size, next| size < next)
    });
    let largest = sizes.iter().max().unwrap();
    let round = round.unwrap_or_else(|| panic!("it only ever grew, to {largest} bytes"));
    assert!(*largest < 16 * 1024 * 1024, "{largest} bytes");
    drop(store);
    let store: KvStore<RayonThreadPool> = KvStore::open(dir.path(), 1).unwrap();
    for key in 0..1000 {
        assert_eq!(get(&store, &format!("key{key}")), Some(format!("{round}")));
    }
}

#[test]
fn a_sled_database_can_be_the_callers_own() {
    let db = sled::Config::new().temporary(true).open().unwrap();
    let engine = SledKvsEngine::<SharedQueueThreadPool>::new(db.clone(), 2).unwrap();
    set(&engine, "key", "value");
    drop(engine);
    assert_eq!(db.get("key").unwrap().unwrap(), b"value");

    db.insert("key", b"\xff").unwrap();
    let engine = SledKvsEngine::<SharedQueueThreadPool>::new(db, 2).unwrap();
    let got = engine.get("key".to_owned()).wait();
    assert!(matches!(got, Err(KvsError::NotUtf8 { .. })));
}

/// The test opens the files as they would be after a kill.
#[test]
fn what_was_acknowledged_is_in_the_files_of_the_callers_own_sled_database() {
    let [dir, copy] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let db = sled::Config::new().path(dir.path()).flush_every_ms(None);
    let engine = SledKvsEngine::<SharedQueueThreadPool>::new(db.open().unwrap(), 2).unwrap();
    let sets = (0..100).map(|n| engine.set(format!("key{n}"), format!("value{n}")));
    future::join_all(sets.collect::<Vec<_>>()).wait().unwrap();
    engine.remove("key0".to_owned()).wait().unwrap();
    for entry in WalkDir::new(dir.path()).min_depth(1) {
        let entry = entry.unwrap();
        let to = copy.path().join(entry.path().strip_prefix(&dir).unwrap());
        match entry.file_type().is_dir() {
            true => std::fs::create_dir(to).unwrap(),
            false => drop(std::fs::copy(entry.path(), to).unwrap()),
        }
    }
    let db = sled::Config::new().path(copy.path()).open().unwrap();
    assert_eq!(db.get("key0").unwrap(), None);
    for n in 1..100 {
        let value = db.get(format!("key{n}")).unwrap();
        let expected = format!("value{n}");
        assert_eq!(value.as_deref(), Some(expected.as_bytes()));
    }
}

/// A store that reads from its segments only, and compacts them soon.
fn uncached(dir: &TempDir, concurrency: u32) -> KvStore<SharedQueueThreadPool> {
    let options = KvStore::<SharedQueueThreadPool>::options()
        .cache_bytes(0)
        .dead_bytes(1024 * 1024);
    options.open(dir.path(), concurrency).unwrap()
}

/// Removed keys stay away, values stay right and readers go on while the log is rewritten.
#[test]
fn compaction_keeps_what_is_alive_and_nothing_else() {
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
    while dir_size(&dir) as usize > 8 * live {
        set(&store, "0", "value");
        model.insert(0, "value".to_owned());
    }
    drop(store);
    let store = KvStore::<SharedQueueThreadPool>::open(dir.path(), 4).unwrap();
    for key in 0..200 {
        assert_eq!(get(&store, &key.to_string()), model.get(&key).cloned());
    }
}

/// With small segments the log rolls over many times while one compaction runs.
#[test]
fn segments_sealed_during_a_compaction_keep_what_is_in_them() {
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

/// Bytes that a client has chosen are never taken for a record: a header goes with a salt.
#[test]
fn a_torn_value_that_looks_like_records_is_still_a_torn_tail() {
    let (dir, store) = open::<KvStore<SharedQueueThreadPool>>(1);
    let segment = dir.path().join("0000000001.segment");
    // Thousands of headers without a salt, each of a long record.
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

/// What a compaction cannot read stays where it is.
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
    file.write_all_at(b"D", 48 + 24).unwrap();
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
fn what_an_interrupted_compaction_left_is_cleared_away() {
    let (dir, store) = open::<KvStore<SharedQueueThreadPool>>(1);
    set(&store, "key", "value");
    drop(store);
    let path = |name: &str| dir.path().join(name);
    // Not published: means nothing, whatever is in it.
    std::fs::write(path("0000000002.segment.unfinished"), "half a segment").unwrap();
    // Named almost as ours are: none of our business.
    std::fs::write(path("+000000003.segment"), "a stranger's").unwrap();
    // Published, and in the place of the first, which is still there.
    let mut bytes = std::fs::read(path("0000000001.segment")).unwrap();
    let len = bytes.len() as u64;
    bytes[16] = 4;
    bytes[24] = 1;
    bytes[32..40].copy_from_slice(&len.to_le_bytes());
    let digest = crc32fast::hash(&bytes[48..52]).to_le_bytes();
    bytes[40..44].copy_from_slice(&digest);
    let checksum = crc32fast::hash(&bytes[16..44]).to_le_bytes();
    bytes[44..48].copy_from_slice(&checksum);
    std::fs::write(path("0000000004.segment"), bytes).unwrap();
    // Hints of nothing.
    std::fs::write(path("0000000001.hints"), "hints").unwrap();

    let store = KvStore::<SharedQueueThreadPool>::open(dir.path(), 1).unwrap();
    assert_eq!(get(&store, "key").as_deref(), Some("value"));
    assert!(!path("0000000001.segment").exists());
    assert!(!path("0000000001.hints").exists());
    assert!(!path("0000000002.segment.unfinished").exists());
    assert!(path("+000000003.segment").exists());
}

/// A pool that drops its jobs leaves nobody waiting and the store fit to be closed.
#[test]
fn a_job_that_never_runs_is_an_error_of_its_future() {
    #[derive(Clone)]
    struct Dropping;
    impl ThreadPool for Dropping {
        fn new(_: u32) -> Result<Dropping> {
            Ok(Dropping)
        }
        fn spawn<F: FnOnce() + Send + 'static>(&self, job: F) {
            drop(job);
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let store = KvStore::<Dropping>::options().sync(SyncLevel::Always);
    let store: KvStore<Dropping> = store.open(dir.path(), 1).unwrap();
    let [key, value] = owned(["key", "value"]);
    let result = store.set(key, value).wait();
    assert!(matches!(result, Err(KvsError::EngineStopped { .. })));
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
fn every_sync_level_keeps_what_was_written() {
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
    bytes[48 + 24] ^= 1; // the first byte of the first key
    std::fs::write(&segment, &bytes).unwrap();

    let error = KvStore::<SharedQueueThreadPool>::open(dir.path(), 1)
        .err()
        .unwrap();
    let KvsError::Damaged { file, offset, .. } = error else {
        panic!("{error}");
    };
    assert_eq!((file, offset), (segment.clone(), 48));
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
    assert!(matches!(got, Err(KvsError::Damaged { offset: 48, .. })));
}

#[test]
fn a_newer_format_is_refused_by_its_version() {
    let (dir, store) = open::<KvStore<SharedQueueThreadPool>>(1);
    drop(store);
    let segment = dir.path().join("0000000001.segment");
    let mut bytes = std::fs::read(&segment).unwrap();
    bytes[8] = 3;
    let checksum = crc32fast::hash(&bytes[..12]);
    bytes[12..16].copy_from_slice(&checksum.to_le_bytes());
    // Whatever comes behind is that version's business.
    bytes.truncate(16);
    std::fs::write(&segment, &bytes).unwrap();
    let error = KvStore::<SharedQueueThreadPool>::open(dir.path(), 1)
        .err()
        .unwrap();
    assert!(matches!(error, KvsError::UnknownVersion { found: 3, .. }));
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
