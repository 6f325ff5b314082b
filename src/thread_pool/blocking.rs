use std::fmt;
use std::sync::Arc;

use futures::{Async, future, try_ready};
use tokio_threadpool::{self, Builder, Sender};

use super::ThreadPool;
use crate::error::{KvsError, Result};

/// tokio's own pool, where each job is a task that has leave to block.
///
/// A task must not wait for a disk: the worker that runs it has other tasks in its queue. With
/// [`tokio_threadpool::blocking`] it can do so all the same. The worker hands its queue to another
/// thread and goes on with this task alone. That is how `tokio::fs` works, and what it needs around
/// it: inside such a job its futures are ready at once.
#[derive(Clone)]
pub struct BlockingThreadPool {
    pool: Arc<Pool>,
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
    /// Makes a pool in which `threads` jobs can be run, and one thread more that hands them out.
    fn new(threads: u32) -> Result<BlockingThreadPool> {
        if threads == 0 {
            return Err(KvsError::NoThreads);
        }
        let pool = Builder::new()
            .pool_size(1)
            .max_blocking(threads as usize)
            .name_prefix("kvs-blocking-")
            .build();
        let sender = pool.sender().clone();
        let pool = Some(pool);
        Ok(BlockingThreadPool {
            pool: Arc::new(Pool { sender, pool }),
        })
    }

    fn spawn<F>(&self, job: F)
    where
        F: FnOnce() + Send + 'static,
    {
        let mut job = Some(job);
        let task = future::poll_fn(move || {
            // From here to the end of this poll. It would fail outside such a pool.
            try_ready!(tokio_threadpool::blocking(|| ()).map_err(drop));
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

impl fmt::Debug for BlockingThreadPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BlockingThreadPool")
    }
}
