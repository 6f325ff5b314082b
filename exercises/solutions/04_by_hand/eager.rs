// The job and the sender for it wait in the future, and the first poll takes them out: the `Option`
// is the state "not started". So a drop before the first poll drops the job, too. After the start,
// `poll` continues with the result in the same call: it would not be woken for a result that it has
// not polled.

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
    start: Option<(mpsc::Sender<Job>, Job)>,
    result: Receiver<T>,
}

fn on_worker<T: Send + 'static>(
    worker: &mpsc::Sender<Job>,
    job: impl FnOnce() -> T + Send + 'static,
) -> OnWorker<T> {
    let (sender, result) = oneshot::channel();
    let job: Job = Box::new(move || drop(sender.send(job())));
    OnWorker {
        start: Some((worker.clone(), job)),
        result,
    }
}

impl<T> Future for OnWorker<T> {
    type Item = T;
    type Error = Canceled;

    fn poll(&mut self) -> Poll<T, Canceled> {
        if let Some((worker, job)) = self.start.take() {
            // If it fails, the job is dropped, and `result` reports it.
            let _ = worker.send(job);
        }
        self.result.poll()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::Async;
    use support::{Task, within_time};

    #[test]
    fn nothing_happens_before_the_first_poll() {
        within_time(|| {
            let (worker, jobs) = mpsc::channel();
            drop(on_worker(&worker, || ()));
            assert!(
                jobs.try_recv().is_err(),
                "the worker got a job of a future that was never polled"
            );
        });
    }

    #[test]
    fn the_first_poll_gives_the_job_to_the_worker() {
        within_time(|| {
            let (worker, jobs) = mpsc::channel();
            let mut task = Task::new(on_worker(&worker, || "result"));
            assert_eq!(
                task.poll(),
                Ok(Async::NotReady),
                "the job belongs on the worker, so `poll` must not run it"
            );
            let job = jobs.try_recv();
            let job = job.expect("the future was polled, and the worker got no job");
            job();
            assert_eq!(
                task.wakes(),
                1,
                "the result wakes the task, if the first poll has polled it, too"
            );
            assert_eq!(task.poll(), Ok(Async::Ready("result")));
        });
    }

    #[test]
    fn the_job_is_given_once() {
        within_time(|| {
            let (worker, jobs) = mpsc::channel();
            let mut task = Task::new(on_worker(&worker, || ()));
            task.expect_not_ready();
            task.expect_not_ready();
            assert!(jobs.try_recv().is_ok(), "the worker got no job");
            assert!(jobs.try_recv().is_err(), "the worker got a second job");
        });
    }

    #[test]
    fn without_a_worker_it_fails() {
        within_time(|| {
            let (worker, jobs) = mpsc::channel();
            drop(jobs);
            let mut task = Task::new(on_worker(&worker, || ()));
            assert_eq!(
                task.poll(),
                Err(Canceled),
                "the worker is gone, and the first poll finds out"
            );
        });
    }
}
