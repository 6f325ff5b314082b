//! The promises of every thread pool, and those of the shared one alone.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use crossbeam_utils::sync::WaitGroup;
use kvs::KvsError;
use kvs::thread_pool::{
    BlockingThreadPool, NaiveThreadPool, RayonThreadPool, SharedQueueThreadPool, ThreadPool,
};

/// Calls each of these generic functions as a test, once for every pool.
macro_rules! for_every_pool {
    ($($test:ident),* $(,)?) => {
        for_every_pool!(@pool blocking BlockingThreadPool, $($test)*);
        for_every_pool!(@pool naive NaiveThreadPool, $($test)*);
        for_every_pool!(@pool shared_queue SharedQueueThreadPool, $($test)*);
        for_every_pool!(@pool rayon RayonThreadPool, $($test)*);
    };
    (@pool $name:ident $pool:ident, $($test:ident)*) => {
        mod $name {
            $(#[test]
            fn $test() {
                super::$test::<super::$pool>();
            })*
        }
    };
}

for_every_pool! {
    every_job_runs,
    clones_can_spawn_from_many_threads,
    a_pool_of_no_threads_is_an_error,
    jobs_already_spawned_run_after_the_last_clone_is_dropped,
    panicking_jobs_do_not_stop_the_ones_after_them,
    a_job_may_drop_the_last_clone,
}

fn every_job_runs<P: ThreadPool>() {
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

fn clones_can_spawn_from_many_threads<P: ThreadPool>() {
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

fn a_pool_of_no_threads_is_an_error<P: ThreadPool>() {
    assert!(matches!(P::new(0), Err(KvsError::NoThreads)));
}

fn jobs_already_spawned_run_after_the_last_clone_is_dropped<P: ThreadPool>() {
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

fn panicking_jobs_do_not_stop_the_ones_after_them<P: ThreadPool>() {
    let pool = P::new(2).unwrap();
    for _ in 0..10 {
        pool.spawn(|| panic!("a job that panics, as the test wants it"));
    }
    let (sender, result) = mpsc::channel();
    pool.spawn(move || sender.send("alive").unwrap());
    assert_eq!(result.recv(), Ok("alive"));
}

fn a_job_may_drop_the_last_clone<P: ThreadPool>() {
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

#[test]
fn panicking_jobs_cost_the_shared_pool_no_worker() {
    const WORKERS: u32 = 4;
    let pool = SharedQueueThreadPool::new(WORKERS).unwrap();
    for _ in 0..2 * WORKERS {
        pool.spawn(|| panic!("a job that panics, as the test wants it"));
    }
    // The jobs pass this barrier only if all workers wait at it together.
    let together = Arc::new(Barrier::new(WORKERS as usize + 1));
    for _ in 0..WORKERS {
        let together = Arc::clone(&together);
        pool.spawn(move || {
            together.wait();
        });
    }
    together.wait();
}

#[test]
fn the_shared_pool_runs_no_more_jobs_at_once_than_it_has_threads() {
    let pool = SharedQueueThreadPool::new(2).unwrap();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let done = WaitGroup::new();
    for _ in 0..100 {
        let (running, most, done) = (Arc::clone(&running), Arc::clone(&most), done.clone());
        pool.spawn(move || {
            let now = running.fetch_add(1, Ordering::SeqCst) + 1;
            most.fetch_max(now, Ordering::SeqCst);
            thread::yield_now();
            running.fetch_sub(1, Ordering::SeqCst);
            drop(done);
        });
    }
    done.wait();
    assert!(most.load(Ordering::SeqCst) <= 2);
}

#[test]
fn the_threads_of_the_shared_pool_end_with_its_last_clone() {
    /// Sends a message when its thread ends, because then the thread drops its locals.
    struct OnExit(mpsc::Sender<()>);
    impl Drop for OnExit {
        fn drop(&mut self) {
            let _ = self.0.send(());
        }
    }
    thread_local! {
        static ON_EXIT: std::cell::RefCell<Option<OnExit>> = const { std::cell::RefCell::new(None) };
    }

    let pool = SharedQueueThreadPool::new(3).unwrap();
    let (sender, ended) = mpsc::channel();
    let together = Arc::new(Barrier::new(3));
    for _ in 0..3 {
        let (together, sender) = (Arc::clone(&together), sender.clone());
        pool.spawn(move || {
            ON_EXIT.with(|local| *local.borrow_mut() = Some(OnExit(sender)));
            together.wait();
        });
    }
    drop((pool, sender));
    assert_eq!(ended.into_iter().count(), 3);
}
