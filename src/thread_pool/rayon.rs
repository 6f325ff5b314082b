use std::io;
use std::sync::Arc;

use super::ThreadPool;
use crate::error::{KvsError, Result};

/// rayon's pool, whose threads each have a queue and steal from one another's.
#[derive(Debug, Clone)]
pub struct RayonThreadPool {
    pool: Arc<rayon::ThreadPool>,
}

impl ThreadPool for RayonThreadPool {
    fn new(threads: u32) -> Result<RayonThreadPool> {
        if threads == 0 {
            return Err(KvsError::NoThreads);
        }
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads as usize)
            .thread_name(|n| format!("kvs-rayon-{n}"))
            // Without a handler rayon aborts the process; the panic hook has reported it by now.
            .panic_handler(|_| ())
            .build()
            .map_err(io::Error::other)
            .map_err(KvsError::io("start the threads of the pool"))?;
        Ok(RayonThreadPool {
            pool: Arc::new(pool),
        })
    }

    fn spawn<F>(&self, job: F)
    where
        F: FnOnce() + Send + 'static,
    {
        self.pool.spawn(job);
    }
}
