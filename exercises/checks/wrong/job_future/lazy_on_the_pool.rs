//! Fails: a_result_arrives: the job ran on the thread that polls

use std::io;

use futures::{Future, future};
use kvs::thread_pool::ThreadPool;

fn main() {}

/// Why there is no result.
#[derive(Debug)]
enum JobError {
    /// The job has failed.
    Failed(io::Error),
    /// The job has ended without a result.
    Panicked,
}

fn spawn<P, F, T>(pool: &P, job: F) -> impl Future<Item = T, Error = JobError> + use<P, F, T>
where
    P: ThreadPool,
    F: FnOnce() -> io::Result<T> + Send + 'static,
    T: Send + 'static,
{
    let future = future::lazy(job).map_err(JobError::Failed);
    pool.spawn(|| ());
    future
}
