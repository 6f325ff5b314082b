use std::panic::{self, AssertUnwindSafe};

use crossbeam_channel::{Receiver, Sender};

use super::{Starting, ThreadPool, start_error};
use crate::error::{KvsError, Result};

type Job = Box<dyn FnOnce() + Send>;

/// A fixed number of threads that take their jobs from one queue.
///
/// The queue is the whole pool: each handle has a sender, and each thread has a receiver. The queue
/// closes with its last sender, and a closed queue still delivers the jobs in it.
#[derive(Debug, Clone)]
pub struct SharedQueueThreadPool {
    jobs: Sender<Job>,
}

impl ThreadPool for SharedQueueThreadPool {
    fn new(threads: u32) -> Result<SharedQueueThreadPool> {
        if threads == 0 {
            return Err(KvsError::NoThreads);
        }
        let mut starting = Starting::default();
        // If a thread cannot start, the queue closes first, and then the others end.
        let (sender, jobs) = crossbeam_channel::unbounded();
        for n in 0..threads {
            let jobs = jobs.clone();
            let started = starting.start(format!("kvs-pool-{n}"), move || work(&jobs));
            started.map_err(start_error)?;
        }
        starting.detach();
        Ok(SharedQueueThreadPool { jobs: sender })
    }

    fn spawn<F>(&self, job: F)
    where
        F: FnOnce() + Send + 'static,
    {
        // The threads hold the receivers until the last sender is gone, and `self` has one.
        let sent = self.jobs.send(Box::new(job));
        debug_assert!(sent.is_ok(), "a shared queue without threads");
    }
}

/// Runs jobs until the queue is closed and empty.
fn work(jobs: &Receiver<Job>) {
    for job in jobs {
        // The panic hook has reported the panic, and the job's values are dropped.
        let _ = panic::catch_unwind(AssertUnwindSafe(job));
    }
}
