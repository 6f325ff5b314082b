// The oneshot is the bridge: the thread of the pool sends, and the send wakes the task.
//
// The receiver has an error of its own. `map_err` turns it into ours, and `and_then` unwraps the
// result of the job, because its closure may return a `Result`. A failed `send` is ignored: it means
// that the future was dropped, so no caller waits. A panic there would look like a bug of the job.

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

/// Runs `job` on the pool, and returns the future of its result.
fn spawn<P, F, T>(pool: &P, job: F) -> impl Future<Item = T, Error = JobError> + use<P, F, T>
where
    P: ThreadPool,
    F: FnOnce() -> io::Result<T> + Send + 'static,
    T: Send + 'static,
{
    let (sender, receiver) = oneshot::channel();
    pool.spawn(move || {
        let _ = sender.send(job());
    });
    receiver
        .map_err(|Canceled| JobError::Panicked)
        .and_then(|result| result.map_err(JobError::Failed))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::Async;
    use std::panic::{self, AssertUnwindSafe};
    use std::sync::{Arc, Mutex};
    use support::{Task, within_time};

    /// A pool whose jobs run when the test says so.
    #[derive(Clone, Default)]
    struct Jobs(Arc<Mutex<Vec<Job>>>);

    type Job = Box<dyn FnOnce() + Send>;

    impl ThreadPool for Jobs {
        fn new(_: u32) -> kvs::Result<Jobs> {
            Ok(Jobs::default())
        }

        fn spawn<F>(&self, job: F)
        where
            F: FnOnce() + Send + 'static,
        {
            self.0.lock().unwrap().push(Box::new(job));
        }
    }

    impl Jobs {
        /// Runs the job that was spawned, and returns whether it has panicked.
        fn run(&self) -> bool {
            let job = self.0.lock().unwrap().pop();
            let job = job.expect("no job was spawned on the pool");
            panic::catch_unwind(AssertUnwindSafe(job)).is_err()
        }
    }

    #[test]
    fn a_result_arrives() {
        within_time(|| {
            let pool = Jobs::default();
            let mut task = Task::new(spawn(&pool, || Ok(42)));
            let early = task.poll().unwrap();
            assert!(early.is_not_ready(), "the job ran on the thread that polls");
            assert_eq!(task.wakes(), 0, "woken, although nothing has happened");
            pool.run();
            assert_ne!(
                task.wakes(),
                0,
                "the job is done, but the task was not woken"
            );
            assert_eq!(task.poll().unwrap(), Async::Ready(42));
        });
    }

    #[test]
    fn a_job_that_fails() {
        within_time(|| {
            let pool = Jobs::default();
            let missing = || Err(io::Error::from(io::ErrorKind::NotFound));
            let future = spawn::<_, _, ()>(&pool, missing);
            pool.run();
            let error = Task::new(future).finish().unwrap_err();
            let JobError::Failed(error) = error else {
                panic!("the job has failed, but the error is {error:?}");
            };
            assert_eq!(error.kind(), io::ErrorKind::NotFound);
        });
    }

    #[test]
    fn a_job_that_panics() {
        within_time(|| {
            let pool = Jobs::default();
            let future = spawn::<_, _, ()>(&pool, || panic!("on purpose"));
            pool.run();
            let error = Task::new(future).finish().unwrap_err();
            assert!(
                matches!(error, JobError::Panicked),
                "the job has panicked, but the error is {error:?}"
            );
        });
    }

    #[test]
    fn a_future_that_is_dropped() {
        within_time(|| {
            let pool = Jobs::default();
            drop(spawn(&pool, || Ok(42)));
            assert!(!pool.run(), "the job panics if no one waits for its result");
        });
    }
}
