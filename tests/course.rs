//! The public names of the library that a reader's own tests use, and their behaviour. These tests
//! are written like such tests, with `wait()`, `?` and a runtime of their own.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam_utils::sync::WaitGroup;
use kvs::thread_pool::{NaiveThreadPool, RayonThreadPool, SharedQueueThreadPool, ThreadPool};
use kvs::{KvStore, KvsEngine, KvsError, KvsServer, Result, SledKvsEngine};
use tempfile::TempDir;
use tokio::prelude::*;
use tokio::runtime::Runtime;

/// Compiles if the public names are unchanged.
#[allow(dead_code, reason = "compiling is the test")]
fn the_face_of_the_library<P: ThreadPool, E: KvsEngine>(engine: &E, pool: &P, db: sled::Db) {
    fn is_handle<T: Clone + Send + 'static>(_: &T) {}
    fn is_future<T>(_: impl Future<Item = T, Error = KvsError> + Send + 'static) {}
    is_handle(engine);
    is_handle(pool);
    let (key, value) = (String::new, String::new);
    is_future::<()>(engine.set(key(), value()));
    is_future::<Option<String>>(engine.get(key()));
    is_future::<()>(engine.remove(key()));
    pool.spawn(|| {});
    let _: fn(u32) -> Result<P> = P::new;
    let _: Result<KvStore<P>> = KvStore::open(Path::new(""), 1);
    let _: Result<KvStore<P>> = KvStore::open("", 1);
    let _: Result<SledKvsEngine<P>> = SledKvsEngine::new(db, 1);
    let _: fn(KvsServer<E>, SocketAddr) -> Result<()> = KvsServer::run;
}

type Store = KvStore<RayonThreadPool>;

fn temp_dir() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn set(engine: &impl KvsEngine, key: &str, value: &str) -> Result<()> {
    engine.set(key.to_owned(), value.to_owned()).wait()
}

fn get(engine: &impl KvsEngine, key: &str) -> Result<Option<String>> {
    engine.get(key.to_owned()).wait()
}

fn remove(engine: &impl KvsEngine, key: &str) -> Result<()> {
    engine.remove(key.to_owned()).wait()
}

/// Checks an engine after it is opened, and again after it was closed and opened again.
fn keeps_the_values_that_are_set<E: KvsEngine>(open: impl Fn() -> Result<E>) -> Result<()> {
    let engine = open()?;
    set(&engine, "key1", "value1")?;
    set(&engine, "key2", "value2")?;
    set(&engine, "key2", "value3")?;
    set(&engine, "gone", "value")?;
    remove(&engine, "gone")?;
    drop(engine);

    let engine = open()?;
    assert_eq!(get(&engine, "key1")?.as_deref(), Some("value1"));
    assert_eq!(get(&engine, "key2")?.as_deref(), Some("value3"));
    assert_eq!(get(&engine, "gone")?, None);
    assert_eq!(get(&engine, "never set")?, None);
    let removed = remove(&engine, "never set");
    assert!(matches!(removed, Err(KvsError::KeyNotFound)));
    Ok(())
}

#[test]
fn a_store_keeps_the_values_that_are_set() -> Result<()> {
    fn with_pool<P: ThreadPool>() -> Result<()> {
        let dir = temp_dir();
        keeps_the_values_that_are_set(|| KvStore::<P>::open(dir.path(), 1))
    }
    with_pool::<NaiveThreadPool>()?;
    with_pool::<SharedQueueThreadPool>()?;
    with_pool::<RayonThreadPool>()
}

#[test]
fn sled_keeps_the_values_that_are_set() -> Result<()> {
    let dir = temp_dir();
    keeps_the_values_that_are_set(|| {
        SledKvsEngine::<RayonThreadPool>::new(sled::open(dir.path())?, 1)
    })
}

/// Runs the tasks that `spawn` spawns until they complete.
fn on_a_runtime(spawn: impl FnOnce(tokio::runtime::TaskExecutor) + Send + 'static) -> Result<()> {
    // Here `?` has to convert the error of the system to one of the store.
    let runtime = Runtime::new()?;
    let executor = runtime.executor();
    runtime.block_on_all(future::lazy(move || {
        spawn(executor);
        future::ok::<(), KvsError>(())
    }))
}

#[test]
fn tasks_get_the_values_that_other_tasks_have_set() -> Result<()> {
    const KEYS: usize = 1000;
    let dir = temp_dir();
    let store = Store::open(dir.path(), 8)?;
    on_a_runtime(move |executor| {
        for n in 0..KEYS {
            let set = store.set(format!("key{n}"), format!("value{n}"));
            executor.spawn(set.map_err(|error| panic!("{error}")));
        }
    })?;

    // The tasks have dropped the store, so it is closed, or is closing.
    let store = Store::open(dir.path(), 8)?;
    let found = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&found);
    on_a_runtime(move |executor| {
        for n in (0..KEYS).chain(0..KEYS) {
            let found = Arc::clone(&found);
            let get = store.get(format!("key{n}")).map(move |value| {
                if value == Some(format!("value{n}")) {
                    found.fetch_add(1, Ordering::SeqCst);
                }
            });
            executor.spawn(get.map_err(|error| panic!("{error}")));
        }
    })?;
    assert_eq!(counted.load(Ordering::SeqCst), 2 * KEYS);
    Ok(())
}

#[test]
fn a_pool_runs_all_jobs_after_others_have_panicked() -> Result<()> {
    fn with_pool<P: ThreadPool>() -> Result<()> {
        let pool = P::new(4)?;
        for _ in 0..100 {
            pool.spawn(|| {
                panic_control::disable_hook_in_current_thread();
                panic!("on purpose");
            });
        }
        let (count, done) = (Arc::new(AtomicUsize::new(0)), WaitGroup::new());
        for _ in 0..20 {
            let (count, done) = (Arc::clone(&count), done.clone());
            pool.spawn(move || {
                count.fetch_add(1, Ordering::SeqCst);
                drop(done);
            });
        }
        done.wait();
        assert_eq!(count.load(Ordering::SeqCst), 20);
        Ok(())
    }
    with_pool::<NaiveThreadPool>()?;
    with_pool::<SharedQueueThreadPool>()
}
