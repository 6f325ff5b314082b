//! Your engine of futures, around a store that blocks. `docs/part-6-engine.md` leads you to it.
//!
//! The store at the end of this file is complete. Write the engine: each request is a job on the
//! pool, and the future of the request waits for that job. Each `todo!()` that a test reaches fails
//! that test: `cargo test --test NAME`.
#![allow(unused, clippy::todo, reason = "the bodies are empty")]

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Mutex};

use futures::Future;
use futures::sync::oneshot;
use kvs::engine::EngineFuture;
use kvs::thread_pool::ThreadPool;
use kvs::{KvsEngine, KvsError, Result};

/// A handle to a store. Its clones share the store.
#[derive(Clone)]
pub struct MyEngine<P> {
    pool: P,
}

impl<P: ThreadPool> MyEngine<P> {
    /// Opens the store in `dir`, with a pool of `concurrency` threads.
    pub fn open(dir: &Path, concurrency: u32) -> Result<MyEngine<P>> {
        todo!()
    }
}

/// [`EngineFuture::spawn`] runs a job, and returns the future of its result.
impl<P: ThreadPool> KvsEngine for MyEngine<P> {
    fn set(&self, key: String, value: String) -> EngineFuture<()> {
        todo!()
    }

    fn get(&self, key: String) -> EngineFuture<Option<String>> {
        todo!()
    }

    fn remove(&self, key: String) -> EngineFuture<()> {
        todo!()
    }
}

/// A store whose methods block: a map in memory, and a file with a line for each write.
pub struct BlockingStore {
    map: BTreeMap<String, String>,
    log: File,
}

impl BlockingStore {
    /// Opens the store in `dir`. If another `BlockingStore` has it open, waits until that is
    /// dropped.
    pub fn open(dir: &Path) -> Result<BlockingStore> {
        let path = dir.join("log");
        let open = File::options().create(true).append(true).open(&path);
        let log = open.map_err(KvsError::io("open the log"))?;
        log.lock().map_err(KvsError::io("lock the log"))?;
        let text = fs::read_to_string(&path).map_err(KvsError::io("read the log"))?;
        let mut map = BTreeMap::new();
        for line in text.lines() {
            let write = serde_json::from_str(line).map_err(io::Error::from);
            let (key, value): (String, Option<String>) =
                write.map_err(KvsError::io("read a line of the log"))?;
            match value {
                Some(value) => map.insert(key, value),
                None => map.remove(&key),
            };
        }
        Ok(BlockingStore { map, log })
    }

    /// Stores `value` under `key`.
    pub fn set(&mut self, key: String, value: String) -> Result<()> {
        self.append(&(&key, Some(&value)))?;
        self.map.insert(key, value);
        Ok(())
    }

    /// Returns the value of `key`, or `None` if the key does not exist.
    pub fn get(&self, key: &str) -> Option<String> {
        self.map.get(key).cloned()
    }

    /// Removes `key`. Fails with [`KvsError::KeyNotFound`] if the key does not exist.
    pub fn remove(&mut self, key: &str) -> Result<()> {
        if !self.map.contains_key(key) {
            return Err(KvsError::KeyNotFound);
        }
        self.append(&(key, None::<&str>))?;
        self.map.remove(key);
        Ok(())
    }

    fn append(&mut self, write: &impl serde::Serialize) -> Result<()> {
        let line = serde_json::to_vec(write).map_err(io::Error::from);
        let written = line.and_then(|line| self.log.write_all(&[&line[..], b"\n"].concat()));
        written.map_err(KvsError::io("write to the log"))
    }
}
