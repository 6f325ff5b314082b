//! Thread pools that can be shared: a clone is another handle to the same threads.
//!
//! An engine runs its file work on such a pool. Jobs come from many threads at once, such as the
//! threads of the network, so a pool is `Clone + Send + 'static`, like the engine itself.

mod blocking;
mod naive;
mod rayon;
mod shared_queue;

use std::io;
use std::thread::{self, JoinHandle};

pub use self::blocking::BlockingThreadPool;
pub(crate) use self::blocking::is_in_job;
pub use self::naive::NaiveThreadPool;
pub use self::rayon::RayonThreadPool;
pub use self::shared_queue::SharedQueueThreadPool;

use crate::error::{KvsError, Result};

/// Threads that run jobs.
///
/// When the last clone is dropped, the jobs already spawned still run, and then the threads end.
/// The drop does not wait for them, so it may happen on a thread of the pool.
pub trait ThreadPool: Clone + Send + 'static {
    /// Creates a pool of `threads` threads.
    ///
    /// # Errors
    ///
    /// [`KvsError::NoThreads`] if `threads` is 0, and [`KvsError::Io`] if the system has no more
    /// threads. In that case the threads that had started end, and a later call may succeed. Only
    /// [`BlockingThreadPool`] may return before they have ended.
    fn new(threads: u32) -> Result<Self>;

    /// Runs `job` on a thread of the pool, some time after this call. If the system has no more
    /// threads, a pool that starts a thread for each job may run it on the calling thread.
    ///
    /// A job that panics ends alone: the message goes to stderr, and the pool keeps its threads.
    /// All other pools start their threads when they are created, so no job is lost when the system
    /// runs out of threads.
    fn spawn<F>(&self, job: F)
    where
        F: FnOnce() + Send + 'static;
}

/// Threads that are being started. The drop joins them, so that an attempt that fails half-way
/// leaves no thread behind. Before the drop, the caller drops everything that the threads wait for.
#[derive(Default)]
struct Starting(Vec<JoinHandle<()>>);

impl Starting {
    fn start(&mut self, name: String, run: impl FnOnce() + Send + 'static) -> io::Result<()> {
        self.0.push(thread::Builder::new().name(name).spawn(run)?);
        Ok(())
    }

    /// Detaches the threads, so that dropping this does not wait for them.
    fn detach(mut self) {
        self.0.clear();
    }
}

impl Drop for Starting {
    fn drop(&mut self) {
        for thread in self.0.drain(..) {
            // If the thread has panicked, the panic hook has reported it.
            let _ = thread.join();
        }
    }
}

fn start_error(error: io::Error) -> KvsError {
    KvsError::io("start the threads of the pool")(error)
}

/// Checks that the system has `threads` more threads, for code that panics if a thread cannot
/// start.
pub(crate) fn check_threads(threads: usize) -> Result<()> {
    let mut starting = Starting::default();
    // The threads wait until this is dropped, which happens before `starting` is dropped.
    let (_all_started, wait) = crossbeam_channel::bounded::<()>(0);
    for n in 0..threads {
        let wait = wait.clone();
        let started = starting.start(format!("kvs-check-{n}"), move || {
            let _ = wait.recv();
        });
        started.map_err(start_error)?;
    }
    Ok(())
}
