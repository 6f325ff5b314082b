use std::cell::Cell;
use std::fmt;
use std::io;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, mpsc};

use futures::{Async, future, try_ready};
use tokio_threadpool::{self, Builder, Sender};

use super::{ThreadPool, check_threads, start_error};
use crate::error::{KvsError, Result};

/// tokio's own pool, in which each job is a task that may block.
///
/// A task normally must not wait for a disk, because the worker that runs it has other tasks in its
/// queue. After [`tokio_threadpool::blocking()`] it may: the worker hands its queue to another
/// thread and continues with this task alone. `tokio::fs` works in this way, and so it needs this
/// pool. Inside such a job its futures are ready at the first poll.
#[derive(Clone)]
pub struct BlockingThreadPool {
    pool: Arc<Pool>,
}

thread_local! {
    static IN_JOB: Cell<bool> = const { Cell::new(false) };
}

/// A guard: the current thread counts as running a job until this is dropped.
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

/// Returns whether the current thread runs a job of a [`BlockingThreadPool`]. A task of another
/// pool of tokio does not count.
pub(crate) fn is_in_job() -> bool {
    IN_JOB.get()
}

struct Pool {
    sender: Sender,
    /// `Some` until the drop.
    pool: Option<tokio_threadpool::ThreadPool>,
}

impl Drop for Pool {
    /// Does not wait for the threads: this may be one of them, since a job may drop the last
    /// handle.
    fn drop(&mut self) {
        if let Some(pool) = self.pool.take() {
            drop(pool.shutdown_on_idle());
        }
    }
}

impl ThreadPool for BlockingThreadPool {
    /// Creates a pool that runs up to `threads` jobs at once, at most 512, and has one more thread
    /// that distributes them. All the threads start here. tokio itself would start each thread with
    /// the first job that needs it. If the system had no more threads then, tokio would panic, and
    /// would distribute no job after that.
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
            // The permission lasts to the end of this poll. Outside such a pool this call fails.
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
    /// Makes tokio start all the threads. Spawns one job for each of them, and the jobs wait for
    /// each other, so that each needs a thread of its own.
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
            // tokio panics here or in the job's task, and drops the values of the job.
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
