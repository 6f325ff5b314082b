//! The promises of every thread pool, and those of the shared one alone.

mod every_pool;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use crossbeam_utils::sync::WaitGroup;
use kvs::thread_pool::{SharedQueueThreadPool, ThreadPool};

mod blocking {
    crate::every_pool::pool_keeps_its_promises!(kvs::thread_pool::BlockingThreadPool);
}

mod naive {
    crate::every_pool::pool_keeps_its_promises!(kvs::thread_pool::NaiveThreadPool);
}

mod shared_queue {
    crate::every_pool::pool_keeps_its_promises!(kvs::thread_pool::SharedQueueThreadPool);
}

mod rayon {
    crate::every_pool::pool_keeps_its_promises!(kvs::thread_pool::RayonThreadPool);
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
