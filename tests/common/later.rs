//! A pool whose jobs run only when the test runs them, on the test's own thread.
#![allow(dead_code, reason = "every test file uses a part of this")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;

use futures::executor::{self, Notify};
use futures::{Async, Future};
use kvs::thread_pool::ThreadPool;
use kvs::{KvStore, KvsEngine, KvsError, Result};

thread_local! {
    static JOBS: RefCell<VecDeque<Box<dyn FnOnce()>>> = RefCell::default();
}

/// A pool for tests that run the same way each time. Each thread of the tests has its own jobs.
#[derive(Debug, Clone)]
pub struct Later;

impl ThreadPool for Later {
    fn new(_: u32) -> Result<Later> {
        Ok(Later)
    }

    fn spawn<F: FnOnce() + Send + 'static>(&self, job: F) {
        JOBS.with_borrow_mut(|jobs| jobs.push_back(Box::new(job)));
    }
}

/// Takes the newest job, which then runs only when the caller calls it.
pub fn take_newest_job() -> Option<Box<dyn FnOnce()>> {
    JOBS.with_borrow_mut(VecDeque::pop_back)
}

/// Runs the oldest job. Returns whether there was one.
pub fn run_job() -> bool {
    let job = JOBS.with_borrow_mut(VecDeque::pop_front);
    job.map(|job| job()).is_some()
}

/// Runs all jobs, and the jobs that they spawn.
pub fn run_jobs() {
    while run_job() {}
}

/// Sets a key, and runs no further jobs.
pub fn set(store: &KvStore<Later>, key: &str, value: &str) {
    done(store.set(key.to_owned(), value.to_owned())).unwrap();
}

pub fn get(store: &KvStore<Later>, key: &str) -> Option<String> {
    done(store.get(key.to_owned())).unwrap()
}

/// Runs all jobs in the background, and drops the store.
pub fn close(store: KvStore<Later>) {
    run_jobs();
    drop(store);
}

/// Runs jobs until the future completes, and no more.
pub fn done<T>(future: impl Future<Item = T, Error = KvsError>) -> Result<T> {
    struct NoWake;
    impl Notify for NoWake {
        fn notify(&self, _: usize) {}
    }
    let mut task = executor::spawn(future);
    loop {
        match task.poll_future_notify(&Arc::new(NoWake), 0)? {
            Async::Ready(item) => return Ok(item),
            Async::NotReady => assert!(run_job(), "the future is pending, but no job is left"),
        }
    }
}
