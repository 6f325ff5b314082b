use std::cell::RefCell;
use std::collections::VecDeque;
use std::iter;
use std::panic::{self, AssertUnwindSafe};
use std::sync::mpsc;
use std::thread;

use super::ThreadPool;
use crate::error::{KvsError, Result};

type Job = Box<dyn FnOnce() + Send>;

/// A new thread for every job: not really a pool, and the yardstick for the others.
#[derive(Debug, Clone)]
pub struct NaiveThreadPool(());

impl ThreadPool for NaiveThreadPool {
    /// `threads` only has to be more than 0. Any number of jobs may run at once.
    fn new(threads: u32) -> Result<NaiveThreadPool> {
        match threads {
            0 => Err(KvsError::NoThreads),
            _ => Ok(NaiveThreadPool(())),
        }
    }

    /// If the system has no more threads, runs the job on the calling thread.
    fn spawn<F>(&self, job: F)
    where
        F: FnOnce() + Send + 'static,
    {
        if let Some(job) = start(Box::new(job)) {
            run_here(job);
        }
    }
}

/// Starts a thread for `job`. If the system has no thread, returns the job.
fn start(job: Job) -> Option<Job> {
    // If the closure owned the job, a thread that cannot start would drop it.
    let (sender, jobs) = mpsc::channel::<Job>();
    let started = thread::Builder::new().spawn(move || jobs.into_iter().for_each(|job| job()));
    match started {
        Ok(_) => sender.send(job).err().map(|unsent| unsent.0),
        Err(_) => Some(job),
    }
}

thread_local! {
    /// If a job runs on this thread because the system has no other one, the jobs that it has
    /// spawned.
    static WAITING: RefCell<Option<VecDeque<Job>>> = const { RefCell::new(None) };
}

/// Runs `job`, and then the jobs that it has spawned. Running them inside each other could overflow
/// the stack.
fn run_here(job: Job) {
    if let Some(mut waiting) = WAITING.take() {
        waiting.push_back(job);
        WAITING.set(Some(waiting));
        return;
    }
    WAITING.set(Some(VecDeque::new()));
    let mut next = Some(job);
    while let Some(job) = next {
        // The panic hook has reported the panic.
        let _ = panic::catch_unwind(AssertUnwindSafe(job));
        // The system may have threads again.
        next = iter::from_fn(next_waiting).find_map(start);
    }
    WAITING.set(None);
}

fn next_waiting() -> Option<Job> {
    WAITING.with_borrow_mut(|waiting| waiting.as_mut()?.pop_front())
}
