//! The promises of every thread pool.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use crossbeam_utils::sync::WaitGroup;
use kvs::KvsError;
use kvs::thread_pool::ThreadPool;

/// Instantiates the tests for a pool.
macro_rules! pool_keeps_its_promises {
    ($pool:ty) => {
        $crate::every_pool::tests!(
            $pool,
            every_job_runs,
            clones_can_spawn_from_many_threads,
            a_pool_of_no_threads_is_an_error,
            jobs_already_spawned_run_after_the_last_clone_is_dropped,
            panicking_jobs_do_not_stop_the_ones_after_them,
            a_job_may_drop_the_last_clone,
        );
    };
}
pub(crate) use pool_keeps_its_promises;

macro_rules! tests {
    ($pool:ty, $($test:ident),* $(,)?) => {
        $(#[test]
        fn $test() {
            $crate::every_pool::$test::<$pool>();
        })*
    };
}
pub(crate) use tests;

pub fn every_job_runs<P: ThreadPool>() {
    let pool = P::new(4).unwrap();
    let (ran, done) = (Arc::new(AtomicUsize::new(0)), WaitGroup::new());
    for _ in 0..100 {
        let (ran, done) = (Arc::clone(&ran), done.clone());
        pool.spawn(move || {
            ran.fetch_add(1, Ordering::SeqCst);
            drop(done);
        });
    }
    done.wait();
    assert_eq!(ran.load(Ordering::SeqCst), 100);
}

pub fn clones_can_spawn_from_many_threads<P: ThreadPool>() {
    let pool = P::new(2).unwrap();
    let (sender, results) = mpsc::channel();
    for spawner in 0..8 {
        let (pool, sender) = (pool.clone(), sender.clone());
        thread::spawn(move || {
            for job in 0..10 {
                let sender = sender.clone();
                pool.spawn(move || sender.send(spawner * 10 + job).unwrap());
            }
        });
    }
    drop(sender);
    let mut results: Vec<_> = results.into_iter().collect();
    results.sort_unstable();
    assert_eq!(results, (0..80).collect::<Vec<_>>());
}

pub fn a_pool_of_no_threads_is_an_error<P: ThreadPool>() {
    assert!(matches!(P::new(0), Err(KvsError::NoThreads)));
}

pub fn jobs_already_spawned_run_after_the_last_clone_is_dropped<P: ThreadPool>() {
    let pool = P::new(1).unwrap();
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
    assert_eq!(results.into_iter().count(), 10);
}

pub fn panicking_jobs_do_not_stop_the_ones_after_them<P: ThreadPool>() {
    let pool = P::new(2).unwrap();
    for _ in 0..10 {
        pool.spawn(|| panic!("a job that panics, as the test wants it"));
    }
    let (sender, result) = mpsc::channel();
    pool.spawn(move || sender.send("alive").unwrap());
    assert_eq!(result.recv(), Ok("alive"));
}

pub fn a_job_may_drop_the_last_clone<P: ThreadPool>() {
    let pool = P::new(1).unwrap();
    let (sender, result) = mpsc::channel();
    let last = pool.clone();
    pool.spawn(move || {
        drop(last);
        sender.send("done").unwrap();
    });
    drop(pool);
    assert_eq!(result.recv(), Ok("done"));
}
