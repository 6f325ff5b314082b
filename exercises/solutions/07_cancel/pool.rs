// A clone of the pool is another sender of the queue, so the pool needs no code to share its threads,
// and none to end them: when the last sender is gone, the channel still delivers the jobs in it, and
// then `recv` fails.
//
// The pool does not join its threads. The last clone may be dropped in a job, and that thread would
// wait for its own end.

use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use kvs::thread_pool::ThreadPool;
use kvs::{KvsError, Result};

/// A job on its way to a thread of the pool.
type Job = Box<dyn FnOnce() + Send>;

/// A handle to threads that run jobs. Its clones share the threads.
#[derive(Clone)]
pub struct MyThreadPool {
    jobs: mpsc::Sender<Job>,
}

impl ThreadPool for MyThreadPool {
    fn new(threads: u32) -> Result<MyThreadPool> {
        if threads == 0 {
            return Err(KvsError::NoThreads);
        }
        let (sender, jobs) = mpsc::channel();
        let jobs = Arc::new(Mutex::new(jobs));
        for _ in 0..threads {
            let jobs = Arc::clone(&jobs);
            let started = thread::Builder::new().spawn(move || work(&jobs));
            started.map_err(KvsError::io("start a thread of the pool"))?;
        }
        Ok(MyThreadPool { jobs: sender })
    }

    fn spawn<F>(&self, job: F)
    where
        F: FnOnce() + Send + 'static,
    {
        // The threads end only after the last sender is gone, so a receiver exists.
        let _ = self.jobs.send(Box::new(job));
    }
}

/// Runs jobs until the last clone of the pool is gone and the queue is empty.
fn work(jobs: &Mutex<mpsc::Receiver<Job>>) {
    loop {
        // A statement of its own: the lock opens at its end, before the job runs.
        let job = jobs.lock().unwrap().recv();
        let Ok(job) = job else {
            return;
        };
        let _ = panic::catch_unwind(AssertUnwindSafe(job));
    }
}

fn main() {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::collections::HashSet;
    use std::sync::Barrier;
    use std::sync::mpsc::RecvTimeoutError;
    use std::time::Duration;
    use support::within_time;

    #[test]
    fn every_job_runs() {
        within_time(|| {
            let pool = MyThreadPool::new(4).unwrap();
            let (sender, ran) = mpsc::channel();
            for n in 0..100 {
                let sender = sender.clone();
                pool.spawn(move || sender.send(n).unwrap());
            }
            drop(sender);
            assert_eq!(ran.into_iter().count(), 100, "jobs that have run");
        });
    }

    #[test]
    fn clones_can_spawn_from_many_threads() {
        within_time(|| {
            let pool = MyThreadPool::new(2).unwrap();
            let (sender, results) = mpsc::channel();
            for n in 0..20 {
                let (pool, sender) = (pool.clone(), sender.clone());
                thread::spawn(move || pool.spawn(move || sender.send(n).unwrap()));
            }
            drop(sender);
            let mut results: Vec<i32> = results.into_iter().collect();
            results.sort_unstable();
            assert_eq!(
                results,
                (0..20).collect::<Vec<_>>(),
                "one job from each thread"
            );
        });
    }

    #[test]
    fn a_pool_of_no_threads_is_an_error() {
        within_time(|| {
            let pool = MyThreadPool::new(0);
            assert!(
                matches!(pool, Err(KvsError::NoThreads)),
                "a pool of no threads"
            );
        });
    }

    #[test]
    fn two_threads_run_two_jobs_at_once() {
        within_time(|| {
            let pool = MyThreadPool::new(2).unwrap();
            let both = Arc::new(Barrier::new(2));
            let (sender, met) = mpsc::channel();
            for _ in 0..2 {
                let (both, sender) = (Arc::clone(&both), sender.clone());
                pool.spawn(move || {
                    both.wait();
                    sender.send(()).unwrap();
                });
            }
            let met = met.recv_timeout(Duration::from_secs(5));
            assert_eq!(
                met,
                Ok(()),
                "the second job did not run while the first one waited for it"
            );
        });
    }

    #[test]
    fn one_thread_runs_all_jobs() {
        within_time(|| {
            let pool = MyThreadPool::new(1).unwrap();
            let (sender, threads) = mpsc::channel();
            for _ in 0..10 {
                let sender = sender.clone();
                pool.spawn(move || sender.send(thread::current().id()).unwrap());
            }
            drop(sender);
            let threads: HashSet<_> = threads.into_iter().collect();
            assert_eq!(
                threads.len(),
                1,
                "threads that have run ten jobs, in a pool of one thread"
            );
        });
    }

    #[test]
    fn panicking_jobs_do_not_stop_the_ones_after_them() {
        within_time(|| {
            let pool = MyThreadPool::new(2).unwrap();
            for _ in 0..10 {
                pool.spawn(|| panic!("a job that panics, as the test wants it"));
            }
            let (sender, result) = mpsc::channel();
            pool.spawn(move || sender.send("alive").unwrap());
            let result = result.recv_timeout(Duration::from_secs(5));
            assert_eq!(result, Ok("alive"), "the job after ten that panic");
        });
    }

    #[test]
    fn jobs_already_spawned_run_after_the_last_clone_is_dropped() {
        within_time(|| {
            let pool = MyThreadPool::new(1).unwrap();
            let gate = Arc::new(Barrier::new(2));
            let (sender, results) = mpsc::channel();
            {
                let gate = Arc::clone(&gate);
                pool.spawn(move || {
                    gate.wait();
                });
            }
            for job in 0..10 {
                let sender = sender.clone();
                pool.spawn(move || sender.send(job).unwrap());
            }
            drop((pool, sender));
            gate.wait();
            assert_eq!(
                results.into_iter().count(),
                10,
                "jobs that have run after the drop"
            );
        });
    }

    #[test]
    fn the_threads_end_after_the_last_clone_is_dropped() {
        thread_local! {
            /// It is dropped at the end of the thread.
            static ALIVE: Cell<Option<mpsc::Sender<()>>> = const { Cell::new(None) };
        }
        within_time(|| {
            let pool = MyThreadPool::new(1).unwrap();
            let (sender, ended) = mpsc::channel();
            pool.spawn(move || ALIVE.set(Some(sender)));
            drop(pool);
            let ended = ended.recv_timeout(Duration::from_secs(5));
            assert_eq!(
                ended,
                Err(RecvTimeoutError::Disconnected),
                "the last clone was dropped, and the thread does not end: does it own a clone itself?"
            );
        });
    }

    #[test]
    fn a_job_may_drop_the_last_clone() {
        within_time(|| {
            let (sender, result) = mpsc::channel();
            let (go_on, told) = mpsc::channel::<()>();
            {
                let pool = MyThreadPool::new(1).unwrap();
                let last = pool.clone();
                pool.spawn(move || {
                    told.recv().unwrap();
                    drop((told, last));
                    sender.send("done").unwrap();
                });
            }
            go_on.send(()).unwrap();
            let result = result.recv_timeout(Duration::from_secs(5));
            assert_eq!(result, Ok("done"), "the job that drops the last clone");
        });
    }
}
