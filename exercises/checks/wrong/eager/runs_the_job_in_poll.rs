//! Fails: the_first_poll_gives_the_job_to_the_worker: so `poll` must not run it

use std::sync::mpsc;

use futures::sync::oneshot::{self, Canceled, Receiver};
use futures::{Future, Poll};

fn main() {}

/// A job for the worker: a thread that receives such jobs, and calls one after the other.
type Job = Box<dyn FnOnce() + Send>;

/// Resolves to the result of a job. Fails if the worker is gone.
///
/// The first poll gives the job to the worker. After that the job runs, even if this is dropped.
struct OnWorker<T> {
    /// `None` after the start.
    start: Option<Job>,
    result: Receiver<T>,
}

fn on_worker<T: Send + 'static>(
    _worker: &mpsc::Sender<Job>,
    job: impl FnOnce() -> T + Send + 'static,
) -> OnWorker<T> {
    let (sender, result) = oneshot::channel();
    let job: Job = Box::new(move || drop(sender.send(job())));
    OnWorker {
        start: Some(job),
        result,
    }
}

impl<T> Future for OnWorker<T> {
    type Item = T;
    type Error = Canceled;

    fn poll(&mut self) -> Poll<T, Canceled> {
        if let Some(job) = self.start.take() {
            job();
        }
        self.result.poll()
    }
}

