//! Hints and the checkpoint. They save reads, and a store opens without them.

use kvs::{KvStore, KvsEngine, KvsError, Result};

use super::{Contents, contents, open, options, read_all, segments, some_store};
use crate::common::disk::Disk;
use crate::common::later::{Later, close, done};

#[test]
fn opening_with_hints_does_not_read_values() {
    let (disk, history) = some_store();
    let mut with_records = segments(&disk);
    with_records.retain(|name| disk.bytes(name).len() > 56);
    with_records.pop();
    assert!(!with_records.is_empty());
    for name in with_records {
        let hints = name.replace("segment", "hints");
        let disk = disk.copy();
        disk.put("kvs-checkpoint", b"no checkpoint");
        let mut bytes = disk.bytes(&name);
        *bytes.last_mut().unwrap() ^= 1;
        disk.put(&name, &bytes);
        let store = open(&disk).unwrap();
        let damaged = read_all(&store, &history)
            .into_values()
            .filter(Result::is_err);
        assert!(damaged.count() <= 1);
        drop(store);
        disk.put("kvs-checkpoint", b"no checkpoint");
        disk.put(&hints, b"no hints");
        assert!(matches!(open(&disk), Err(KvsError::Damaged { .. })));
    }
}

/// Returns the disk of a store that was closed, opened again, written to and then killed, and its
/// contents.
fn store_ahead_of_its_checkpoint() -> (Disk, Contents) {
    let (disk, history) = some_store();
    let mut contents = history.last().unwrap().clone();
    close(open(&disk).unwrap());
    let store: KvStore<Later> = options()
        .dead_bytes(u64::MAX)
        .open_in(disk.clone(), 1)
        .unwrap();
    for (key, value) in [("k0", "newer"), ("k1", "newer"), ("new", "value")] {
        done(store.set(key.to_owned(), value.to_owned())).unwrap();
        contents.insert(key.to_owned(), value.to_owned());
    }
    done(store.remove("only 1".to_owned())).unwrap();
    contents.remove("only 1");
    let killed = disk.copy();
    drop(store);
    (killed, contents)
}

#[test]
fn writes_after_the_checkpoint_are_applied_to_it() {
    let (disk, contents_now) = store_ahead_of_its_checkpoint();
    let history = [contents_now];
    let store = open(&disk).unwrap();
    assert_eq!(contents(&store, &history), history[0]);
    assert!(disk.names().contains(&"kvs-checkpoint".to_owned()));
    drop(store);
    disk.put("kvs-checkpoint", b"no checkpoint");
    let store = open(&disk).unwrap();
    assert_eq!(contents(&store, &history), history[0]);
}

#[test]
fn opening_with_a_checkpoint_does_not_read_records() {
    let (disk, history) = some_store();
    close(open(&disk).unwrap());
    let mut all_but_the_last = segments(&disk);
    all_but_the_last.pop();
    for name in all_but_the_last {
        let disk = disk.copy();
        let mut bytes = disk.bytes(&name);
        let Some(byte) = bytes.get_mut(56 + 24) else {
            continue;
        };
        *byte ^= 1;
        disk.put(&name, &bytes);
        let store = open(&disk).unwrap();
        let values = read_all(&store, &history).into_values();
        assert!(values.filter(Result::is_err).count() <= 1);
        drop(store);
        disk.put("kvs-checkpoint", b"no checkpoint");
        disk.put(&name.replace("segment", "hints"), b"no hints");
        assert!(matches!(open(&disk), Err(KvsError::Damaged { .. })));
    }
}

#[test]
fn a_checkpoint_that_is_cut_off_or_of_another_log_is_not_used() {
    let (disk, contents_now) = store_ahead_of_its_checkpoint();
    let history = [contents_now];
    let checkpoint = disk.bytes("kvs-checkpoint");
    let (other, _) = some_store();
    let cut_off = (0..checkpoint.len()).map(|len| checkpoint[..len].to_vec());
    for bytes in cut_off.chain([other.bytes("kvs-checkpoint")]) {
        let disk = disk.copy();
        disk.put("kvs-checkpoint", &bytes);
        let store = open(&disk).unwrap();
        assert_eq!(contents(&store, &history), history[0]);
        assert!(!disk.names().contains(&"kvs-checkpoint".to_owned()));
    }
}

#[test]
fn hints_that_are_missing_or_damaged_are_written_anew() {
    let (disk, history) = some_store();
    let files = disk.files();
    for (name, hints) in files.iter().filter(|(name, _)| name.ends_with(".hints")) {
        for bad in [None, Some(&b""[..]), Some(&hints[..hints.len() - 1])] {
            let others = files.iter().filter(|(other, _)| *other != name);
            let disk = Disk::with(others.map(|(name, bytes)| (name.as_str(), bytes.as_slice())));
            if let Some(bad) = bad {
                disk.put(name, bad);
            }
            let store: KvStore<Later> = options()
                .dead_bytes(u64::MAX)
                .open_in(disk.clone(), 1)
                .unwrap();
            assert_eq!(&contents(&store, &history), history.last().unwrap());
            done(store.set("k0".to_owned(), "again".to_owned())).unwrap();
            close(store);
            assert_eq!(disk.bytes(name), *hints);
        }
    }
}
