//! Fails: a_future_that_is_dropped: the job panics if no one waits for its result

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
        if sender.send(job()).is_err() {
            panic!("the receiver is gone");
        }
    });
    receiver
        .map_err(|Canceled| JobError::Panicked)
        .and_then(|result| result.map_err(JobError::Failed))
}
