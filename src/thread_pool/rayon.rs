use std::io;
use std::sync::Arc;

use super::{Starting, ThreadPool, start_error};
use crate::error::{KvsError, Result};

/// rayon's pool, in which each thread has a queue and steals jobs from the others.
#[derive(Debug, Clone)]
pub struct RayonThreadPool {
    pool: Arc<rayon::ThreadPool>,
}

impl ThreadPool for RayonThreadPool {
    fn new(threads: u32) -> Result<RayonThreadPool> {
        if threads == 0 {
            return Err(KvsError::NoThreads);
        }
        let mut starting = Starting::default();
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads as usize)
            .spawn_handler(|thread| {
                let name = format!("kvs-rayon-{}", thread.index());
                starting.start(name, || thread.run())
            })
            // Without a handler rayon aborts the process. The panic hook has reported the panic.
            .panic_handler(|_| ())
            // If a thread cannot start, rayon tells the others to end.
            .build()
            .map_err(io::Error::other)
            .map_err(start_error)?;
        starting.detach();
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
