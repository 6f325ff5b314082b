//! Thread pools that can be shared: a clone is another handle to the same threads.
//!
//! The engines do their file work on one. Since jobs come from many threads at once, from every
//! worker of the network runtime, a pool is `Clone + Send + 'static`, as the engine itself is.

mod blocking;
mod naive;
mod rayon;
mod shared_queue;

pub use self::blocking::BlockingThreadPool;
pub(crate) use self::blocking::is_in_job;
pub use self::naive::NaiveThreadPool;
pub use self::rayon::RayonThreadPool;
pub use self::shared_queue::SharedQueueThreadPool;

use crate::error::Result;

/// Threads that run jobs.
///
/// When the last clone is dropped, the jobs already spawned still run, and then the threads end.
/// Nobody waits for them: the drop returns at once, so that it may happen on a thread of the pool.
pub trait ThreadPool: Clone + Send + 'static {
    /// Makes a pool of `threads` threads.
    ///
    /// # Errors
    ///
    /// [`KvsError::NoThreads`](crate::KvsError::NoThreads) where `threads` is 0, and
    /// [`KvsError::Io`](crate::KvsError::Io) where the system has no more threads.
    fn new(threads: u32) -> Result<Self>;

    /// Runs `job` on some thread of the pool, some time after this call.
    ///
    /// A job that panics ends alone: the message goes to stderr, and the pool keeps its threads.
    fn spawn<F>(&self, job: F)
    where
        F: FnOnce() + Send + 'static;
}
