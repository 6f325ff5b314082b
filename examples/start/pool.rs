//! Your thread pool, which can be shared. `docs/part-5-pools.md` leads you to it.
//!
//! Each `todo!()` that a test reaches fails that test: `cargo test --test NAME`.
#![allow(unused, clippy::todo, reason = "the bodies are empty")]

use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use kvs::thread_pool::ThreadPool;
use kvs::{KvsError, Result};

/// A job on its way to a thread of the pool.
type Job = Box<dyn FnOnce() + Send>;

/// A handle to threads that run jobs. Its clones share the threads.
#[derive(Clone)]
pub struct MyThreadPool;

impl ThreadPool for MyThreadPool {
    /// Fails with [`KvsError::NoThreads`] if `threads` is 0.
    fn new(threads: u32) -> Result<MyThreadPool> {
        todo!()
    }

    /// Runs `job` on one of the threads. A job that panics costs the pool no thread. After the last
    /// clone is dropped, the jobs already spawned still run, and then the threads end.
    fn spawn<F>(&self, job: F)
    where
        F: FnOnce() + Send + 'static,
    {
        todo!()
    }
}
