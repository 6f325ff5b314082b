use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, mpsc};

use futures::{Async, future, try_ready};
use tokio_threadpool::{self, Builder, Sender};

use super::{ThreadPool, check_threads, start_error};
use crate::error::{KvsError, Result};

/// tokio's own pool, where each job is a task that has leave to block.
///
/// A task must not wait for a disk: the worker that runs it has other tasks in its queue. With
/// [`tokio_threadpool::blocking()`] it can do so all the same. The worker hands its queue to another
/// thread and goes on with this task alone. That is how `tokio::fs` works, and what it needs around
/// it: inside such a job its futures are ready at once.
#[derive(Clone)]
pub struct BlockingThreadPool {
    pool: Arc<Pool>,
}

thread_local! {
    static IN_JOB: Cell<bool> = const { Cell::new(false) };
}

/// The current thread runs a job for as long as there is one of these.
struct InJob;

impl InJob {
    fn begin() -> InJob {
        IN_JOB.set(true);
        InJob
    }
}

impl Drop for InJob {
    fn drop(&mut self) {
        IN_JOB.set(false);
    }
}

/// Whether the current thread runs a job of such a pool, and not a task of any other.
pub(crate) fn is_in_job() -> bool {
    IN_JOB.get()
}

struct Pool {
    sender: Sender,
    /// `Some` until the drop.
    pool: Option<tokio_threadpool::ThreadPool>,
}

impl Drop for Pool {
    /// A job may drop the last handle, and a pool cannot wait for its own thread.
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            drop(pool.shutdown_on_idle());
        }
    }
}

impl ThreadPool for BlockingThreadPool {
    /// Creates a pool that runs up to `threads` jobs at once, at most 512, with one more thread
    /// that hands them out. All the threads start here. tokio would start them only when they are
    /// needed, would panic if the system had no more threads then, and would hand out no job after
    /// that.
    fn new(threads: u32) -> Result<BlockingThreadPool> {
        const MOST: usize = 512;
        if threads == 0 {
            return Err(KvsError::NoThreads);
        }
        let threads = MOST.min(threads as usize);
        check_threads(threads + 1)?;
        let pool = Builder::new()
            .pool_size(1)
            .max_blocking(threads)
            .name_prefix("kvs-blocking-")
            .build();
        let sender = pool.sender().clone();
        let pool = Some(pool);
        let pool = BlockingThreadPool {
            pool: Arc::new(Pool { sender, pool }),
        };
        pool.start(threads)?;
        Ok(pool)
    }

    fn spawn<F>(&self, job: F)
    where
        F: FnOnce() + Send + 'static,
    {
        let mut job = Some(job);
        let task = future::poll_fn(move || {
            // From here to the end of this poll. It would fail outside such a pool.
            try_ready!(tokio_threadpool::blocking(|| ()).map_err(drop));
            let _in_job = InJob::begin();
            job.take().expect("a task ends with its job")();
            Ok(Async::Ready(()))
        });
        let spawned = self.pool.sender.spawn(task);
        debug_assert!(
            spawned.is_ok(),
            "a pool that has shut down before its last handle"
        );
    }
}

impl BlockingThreadPool {
    /// Makes tokio start all the threads, by spawning as many jobs that wait for each other. So
    /// each job needs a thread of its own.
    fn start(&self, threads: usize) -> Result<()> {
        let (all_begun, wait) = crossbeam_channel::bounded::<()>(0);
        for _ in 0..threads {
            let (sender, begun) = mpsc::channel();
            let wait = wait.clone();
            let job = move || {
                let _ = sender.send(());
                // The wait ends when the only sender is dropped.
                let _ = wait.recv();
            };
            let spawned = panic::catch_unwind(AssertUnwindSafe(|| self.spawn(job)));
            // tokio panics here or in the job's task, and drops what the job owns.
            if spawned.is_err() || begun.recv().is_err() {
                return Err(start_error(io::ErrorKind::WouldBlock.into()));
            }
        }
        drop(all_begun);
        Ok(())
    }
}

impl fmt::Debug for BlockingThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockingThreadPool")
    }
}
