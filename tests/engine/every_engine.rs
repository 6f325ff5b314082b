//! The promises that every engine keeps on every thread pool.

use std::path::Path;

use futures::future::{self, Future};
use kvs::{KvsEngine, KvsError, Result};
use tempfile::TempDir;

/// An engine that a generic test can open.
pub trait Open: KvsEngine {
    fn open(dir: &Path, concurrency: u32) -> Result<Self>;
}

/// Instantiates the tests for an engine on a pool, with one thread and with eight.
#[allow(unused_macros, reason = "the tests of one file use it")]
macro_rules! engine_keeps_its_promises {
    ($engine:ty) => {
        $crate::every_engine::of_every_engine!(tests, $engine);
        $crate::every_engine::tests!($engine, an_engine_of_no_threads_is_an_error);
    };
}
#[allow(unused_imports, reason = "the tests of one file use it")]
pub(crate) use engine_keeps_its_promises;

/// Calls the macro `$of_all` of this module with the tests of every engine.
macro_rules! of_every_engine {
    ($of_all:ident, $engine:ty) => {
        $crate::every_engine::$of_all! {
            $engine,
            a_value_that_was_set_is_there,
            a_missing_key_has_no_value,
            a_value_can_be_overwritten,
            a_removed_key_does_not_exist,
            removing_a_missing_key_is_key_not_found,
            any_string_is_a_key_and_a_value,
            values_are_there_after_opening_again,
            a_store_can_be_opened_again_right_after_its_drop,
            many_tasks_can_set_and_get_at_once,
            many_futures_can_be_under_way_together,
            futures_are_send_and_outlive_their_engine,
        }
    };
}
pub(crate) use of_every_engine;

/// Makes a list of the tests, with their names.
#[allow(unused_macros, reason = "the tests of one file use it")]
macro_rules! list {
    ($engine:ty, $($test:ident),* $(,)?) => {
        vec![$((
            stringify!($test),
            $crate::every_engine::$test::<$engine> as fn(u32),
        )),*]
    };
}
#[allow(unused_imports, reason = "the tests of one file use it")]
pub(crate) use list;

#[allow(unused_macros, reason = "the tests of one file use it")]
macro_rules! tests {
    ($engine:ty, $($test:ident),* $(,)?) => {
        $(#[test]
        fn $test() {
            for concurrency in [1, 8] {
                $crate::every_engine::$test::<$engine>(concurrency);
            }
        })*
    };
}
#[allow(unused_imports, reason = "the tests of one file use it")]
pub(crate) use tests;

pub fn owned<const N: usize>(strings: [&str; N]) -> [String; N] {
    strings.map(str::to_owned)
}

pub fn set(engine: &impl KvsEngine, key: &str, value: &str) {
    let [key, value] = owned([key, value]);
    engine.set(key, value).wait().unwrap();
}

pub fn get(engine: &impl KvsEngine, key: &str) -> Option<String> {
    engine.get(key.to_owned()).wait().unwrap()
}

pub fn open<E: Open>(concurrency: u32) -> (TempDir, E) {
    let dir = tempfile::tempdir().unwrap();
    let engine = E::open(dir.path(), concurrency).unwrap();
    (dir, engine)
}

pub fn a_value_that_was_set_is_there<E: Open>(concurrency: u32) {
    let (_dir, engine) = open::<E>(concurrency);
    set(&engine, "key1", "value1");
    set(&engine, "key2", "value2");
    assert_eq!(get(&engine, "key1").as_deref(), Some("value1"));
    assert_eq!(get(&engine, "key2").as_deref(), Some("value2"));
}

pub fn a_missing_key_has_no_value<E: Open>(concurrency: u32) {
    let (_dir, engine) = open::<E>(concurrency);
    assert_eq!(get(&engine, "key"), None);
    set(&engine, "key1", "value1");
    assert_eq!(get(&engine, "key2"), None);
}

pub fn a_value_can_be_overwritten<E: Open>(concurrency: u32) {
    let (_dir, engine) = open::<E>(concurrency);
    set(&engine, "key", "value1");
    set(&engine, "key", "value2");
    assert_eq!(get(&engine, "key").as_deref(), Some("value2"));
}

pub fn a_removed_key_does_not_exist<E: Open>(concurrency: u32) {
    let (dir, engine) = open::<E>(concurrency);
    set(&engine, "key", "value");
    engine.remove("key".to_owned()).wait().unwrap();
    assert_eq!(get(&engine, "key"), None);
    drop(engine);
    let engine = E::open(dir.path(), concurrency).unwrap();
    assert_eq!(get(&engine, "key"), None);
}

pub fn removing_a_missing_key_is_key_not_found<E: Open>(concurrency: u32) {
    let (_dir, engine) = open::<E>(concurrency);
    let removed = engine.remove("key".to_owned()).wait();
    assert!(matches!(removed, Err(KvsError::KeyNotFound)));
}

pub fn any_string_is_a_key_and_a_value<E: Open>(concurrency: u32) {
    let (dir, engine) = open::<E>(concurrency);
    let long = "long ".repeat(50_000);
    let strings = ["", " ", "\0", "näive ключ 鍵 🔑", "\"quoted\"\n", &long];
    for string in strings {
        // sled limits the length of a key, and the limit of kvs is lower.
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

pub fn values_are_there_after_opening_again<E: Open>(concurrency: u32) {
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

pub fn a_store_can_be_opened_again_right_after_its_drop<E: Open>(concurrency: u32) {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..20 {
        let engine = E::open(dir.path(), concurrency).unwrap();
        if round > 0 {
            assert_eq!(get(&engine, "round"), Some((round - 1).to_string()));
        }
        set(&engine, "round", &round.to_string());
        // The job of this future may still run when the store is dropped, because nothing waits for
        // it.
        drop(engine.set(round.to_string(), "x".repeat(10_000)));
        drop(engine.get("round".to_owned()));
    }
}

pub fn many_tasks_can_set_and_get_at_once<E: Open>(concurrency: u32) {
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

pub fn many_futures_can_be_under_way_together<E: Open>(concurrency: u32) {
    let (_dir, engine) = open::<E>(concurrency);
    let sets = (0..1000).map(|n| engine.set(format!("key{n}"), format!("value{n}")));
    future::join_all(sets.collect::<Vec<_>>()).wait().unwrap();
    let gets = (0..1000).map(|n| engine.get(format!("key{n}")));
    let values = future::join_all(gets.collect::<Vec<_>>()).wait().unwrap();
    for (n, value) in values.into_iter().enumerate() {
        assert_eq!(value, Some(format!("value{n}")));
    }
}

pub fn futures_are_send_and_outlive_their_engine<E: Open>(concurrency: u32) {
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

#[allow(dead_code, reason = "a cluster has no pool")]
pub fn an_engine_of_no_threads_is_an_error<E: Open>(_: u32) {
    let dir = tempfile::tempdir().unwrap();
    let engine = E::open(dir.path(), 0);
    assert!(matches!(engine, Err(KvsError::NoThreads)));
}
