//! Fails: panicking_jobs_do_not_stop_the_ones_after_them: the job after ten that panic

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
        job();
    }
}

fn main() {}
