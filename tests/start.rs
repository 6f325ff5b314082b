//! The parts that `examples/start` hands out compile, and their tests fail because the bodies are
//! empty.

mod common;
mod harness;

#[path = "../examples/start/anon.rs"]
mod anon;
#[path = "../examples/start/boxed.rs"]
mod boxed;
#[path = "../examples/start/engine.rs"]
mod engine;
#[path = "../examples/start/explicit.rs"]
mod explicit;
#[path = "../examples/start/manual.rs"]
mod manual;
#[path = "../examples/start/pool.rs"]
mod pool;
#[allow(dead_code, reason = "the tests call what `main` calls")]
#[path = "../examples/start/main.rs"]
mod start;

use std::convert::identity;
use std::fs;

use harness::catches;
use harness::real::a_value_that_was_set_is_there;
use kvs::thread_pool::{NaiveThreadPool, ThreadPool};

kvs::impl_client!(anon::KvsClient, identity);
kvs::impl_client!(boxed::KvsClient, identity);
kvs::impl_client!(explicit::KvsClient, identity);
kvs::impl_client!(manual::KvsClient, identity);

#[test]
fn the_bodies_of_each_part_are_empty() {
    let empty = "not yet implemented";
    catches(empty, a_value_that_was_set_is_there::<anon::KvsClient>);
    catches(empty, a_value_that_was_set_is_there::<boxed::KvsClient>);
    catches(empty, a_value_that_was_set_is_there::<explicit::KvsClient>);
    catches(empty, a_value_that_was_set_is_there::<manual::KvsClient>);
    catches(empty, || drop(pool::MyThreadPool::new(1)));
    let dir = tempfile::tempdir().unwrap();
    catches(empty, || {
        drop(engine::MyEngine::<NaiveThreadPool>::open(dir.path(), 1));
    });
}

#[test]
fn the_store_below_the_engine_keeps_its_pairs() {
    let dir = tempfile::tempdir().unwrap();
    let open = || engine::BlockingStore::open(dir.path()).unwrap();
    let [kept, removed] = ["kept", "removed"];
    let mut store = open();
    for key in [kept, removed] {
        store.set(key.to_owned(), "a\nb".to_owned()).unwrap();
    }
    store.remove(removed).unwrap();
    assert!(store.remove(removed).is_err());
    drop(store);
    let store = open();
    assert_eq!(store.get(kept).as_deref(), Some("a\nb"));
    assert_eq!(store.get(removed), None);
}

#[test]
fn a_part_is_written_once_and_says_how_to_go_on() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir(root.path().join("tests")).unwrap();
    for part in ["boxed", "explicit", "anon", "manual", "pool", "engine"] {
        assert!(start::list().contains(part));
        let next = start::write(part, root.path()).unwrap();
        assert!(next.contains(&format!("cargo test --test my_{part}")));
        for file in fs::read_dir(root.path().join("tests").join(format!("my_{part}"))).unwrap() {
            let text = fs::read_to_string(file.unwrap().path()).unwrap();
            assert!(text.contains(&format!("cargo test --test my_{part}")));
        }
        let again = start::write(part, root.path()).unwrap_err();
        assert!(again.contains("may have your work in it"), "{again}");
    }
    let unknown = start::write("boxes", root.path()).unwrap_err();
    assert!(unknown.contains(r#"there is no part "boxes""#), "{unknown}");
}
