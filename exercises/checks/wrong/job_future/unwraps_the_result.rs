//! Fails: a_job_that_fails: the job has failed, but the error is Panicked

use std::io;

use futures::Future;
use futures::sync::oneshot::{self, Canceled};
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
    let (sender, receiver) = oneshot::channel();
    pool.spawn(move || {
        let _ = sender.send(job().unwrap());
    });
    receiver.map_err(|Canceled| JobError::Panicked)
}
