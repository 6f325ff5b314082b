//! A store with damaged files: every byte flipped, every end cut off, every file removed. The store
//! never returns a wrong value, never panics, and never hides a gap.

#[path = "../common/mod.rs"]
mod common;
mod derived;
mod opening;
mod repair;

use std::collections::BTreeMap;

use common::disk::Disk;
use common::later::{Later, close, done};
use kvs::engine::{KvStoreOptions, verify};
use kvs::{KvStore, KvsEngine, Result};

type Contents = BTreeMap<String, String>;

fn options() -> KvStoreOptions {
    KvStore::<Later>::options()
        .segment_bytes(120)
        .dead_bytes(150)
}

fn open(disk: &Disk) -> Result<KvStore<Later>> {
    options().open_in(disk.clone(), 1)
}

/// Returns a closed store with a compacted segment, other sealed segments, hints, and an active
/// segment of several records, and its contents after each write.
fn some_store() -> (Disk, Vec<Contents>) {
    let disk = Disk::default();
    let mut history = vec![Contents::new()];
    let mut write = |options: KvStoreOptions, writes: &[(String, Option<String>)]| {
        let store: KvStore<Later> = options.open_in(disk.clone(), 1).unwrap();
        for (key, value) in writes {
            let mut contents = history[history.len() - 1].clone();
            match value {
                Some(value) => {
                    contents.insert(key.clone(), value.clone());
                    done(store.set(key.clone(), value.clone())).unwrap();
                }
                None => {
                    contents.remove(key);
                    done(store.remove(key.clone())).unwrap();
                }
            }
            history.push(contents);
        }
        close(store);
    };
    let old = (0..14).map(|n| (format!("k{}", n % 4), Some(format!("old {n}"))));
    write(options(), &old.collect::<Vec<_>>());
    // Compaction would leave almost nothing in the other segments.
    let only = (0..5).map(|n| (format!("only {n}"), Some(n.to_string())));
    write(options().dead_bytes(u64::MAX), &only.collect::<Vec<_>>());
    let new = (0..3).map(|n| (format!("k{n}"), Some(format!("new {n}"))));
    let removed = [("only 0".to_owned(), None)];
    write(
        options().dead_bytes(u64::MAX).segment_bytes(u64::MAX),
        &new.chain(removed).collect::<Vec<_>>(),
    );
    (disk, history)
}

fn segments(disk: &Disk) -> Vec<String> {
    let mut names = disk.names();
    names.retain(|name| name.ends_with(".segment"));
    names
}

/// Returns the store's answer for every key of the history.
fn read_all(store: &KvStore<Later>, history: &[Contents]) -> BTreeMap<String, Result<String>> {
    let keys: Contents = history.iter().flat_map(Contents::clone).collect();
    keys.into_keys()
        .filter_map(|key| {
            let got = done(store.get(key.clone()));
            Some((key, got.transpose()?))
        })
        .collect()
}

/// Returns the contents of a store that has no damage.
fn contents(store: &KvStore<Later>, history: &[Contents]) -> Contents {
    let all = read_all(store, history).into_iter();
    all.map(|(key, got)| (key, got.unwrap())).collect()
}

#[test]
fn the_store_under_test_has_files_of_every_kind() {
    let (disk, history) = some_store();
    let segments = segments(&disk);
    assert!(segments.len() >= 3, "{segments:?}");
    let compacted = |name: &String| disk.bytes(name)[32..40] != [0; 8];
    assert!(segments.iter().any(compacted));
    assert!(disk.names().iter().any(|name| name.ends_with(".hints")));
    for name in ["kvs-synced", "kvs-checkpoint"] {
        assert!(disk.names().contains(&name.to_owned()));
    }
    let store = open(&disk).unwrap();
    assert_eq!(&contents(&store, &history), history.last().unwrap());
    drop(store);
    assert!(verify(&disk, &mut |_, _| {}).unwrap().is_sound());
}
