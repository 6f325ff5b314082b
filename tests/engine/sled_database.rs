//! The engine on a sled database that the caller has opened.

use futures::future::{self, Future};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvsEngine, KvsError, SledKvsEngine};
use walkdir::WalkDir;

use super::set;

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

/// The test copies the files while the database is open, as a kill would leave them.
#[test]
fn acknowledged_writes_are_in_the_files_of_the_callers_own_sled_database() {
    let [dir, copy] = [(); 2].map(|()| tempfile::tempdir().unwrap());
    let db = sled::Config::new().path(dir.path()).flush_every_ms(None);
    let engine = SledKvsEngine::<SharedQueueThreadPool>::new(db.open().unwrap(), 2).unwrap();
    let sets = (0..100).map(|n| engine.set(format!("key{n}"), format!("value{n}")));
    future::join_all(sets.collect::<Vec<_>>()).wait().unwrap();
    engine.remove("key0".to_owned()).wait().unwrap();
    for entry in WalkDir::new(dir.path()).min_depth(1) {
        let entry = entry.unwrap();
        let to = copy.path().join(entry.path().strip_prefix(&dir).unwrap());
        if entry.file_type().is_dir() {
            std::fs::create_dir(to).unwrap();
        } else {
            std::fs::copy(entry.path(), to).unwrap();
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
