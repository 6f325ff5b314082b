use std::thread;

use super::ThreadPool;
use crate::error::{KvsError, Result};

/// A new thread for every job: no pool at all, and the yardstick for the others.
#[derive(Debug, Clone)]
pub struct NaiveThreadPool(());

impl ThreadPool for NaiveThreadPool {
    /// `threads` only has to be more than 0: there is no bound to how many jobs run at once.
    fn new(threads: u32) -> Result<NaiveThreadPool> {
        match threads {
            0 => Err(KvsError::NoThreads),
            _ => Ok(NaiveThreadPool(())),
        }
    }

    /// # Panics
    ///
    /// Where the system has no more threads.
    fn spawn<F>(&self, job: F)
    where
        F: FnOnce() + Send + 'static,
    {
        thread::spawn(job);
    }
}
