//! A store whose disk is full, cannot sync or cannot read.

#[path = "../common/mod.rs"]
mod common;
mod failed_calls;
mod file_size;
mod full_disk;
mod pieces;
mod preallocation;
mod replaced;

use common::disk::Disk;
use common::later::{Later, done, get, run_jobs};
use kvs::engine::{KvStoreOptions, SyncLevel};
use kvs::{KvStore, KvsEngine, Result};

fn options() -> KvStoreOptions {
    KvStore::<Later>::options()
        .segment_bytes(200)
        .dead_bytes(300)
}

fn open(disk: &Disk, level: SyncLevel) -> KvStore<Later> {
    options().sync(level).open_in(disk.clone(), 1).unwrap()
}

/// Sets a key, and then runs the jobs in the background.
fn set(store: &KvStore<Later>, key: &str, value: &str) -> Result<()> {
    let result = done(store.set(key.to_owned(), value.to_owned()));
    run_jobs();
    result
}

/// Returns the names of the segments, oldest first.
fn segments(disk: &Disk) -> Vec<String> {
    let mut names = disk.names();
    names.retain(|name| name.ends_with(".segment"));
    names
}

fn key(n: usize) -> String {
    format!("key{}", n % 5)
}

const LEVELS: [SyncLevel; 3] = [SyncLevel::Always, SyncLevel::EverySec, SyncLevel::Never];
