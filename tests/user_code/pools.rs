//! Thread pools that run, drop or refuse their jobs, and pools that call the store.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::Future;
use kvs::engine::{EngineFuture, SyncLevel};
use kvs::thread_pool::{SharedQueueThreadPool, ThreadPool};
use kvs::{KvStore, KvsError, Result};

use super::{IS_CALLING, get, in_time, open, options, set};

/// Runs every job at once, on the thread that spawns it.
#[derive(Debug, Clone)]
struct AtOnce;

impl ThreadPool for AtOnce {
    fn new(_: u32) -> Result<AtOnce> {
        Ok(AtOnce)
    }

    fn spawn<F: FnOnce() + Send + 'static>(&self, job: F) {
        job();
    }
}

/// Drops every job.
#[derive(Debug, Clone)]
struct Dropping;

impl ThreadPool for Dropping {
    fn new(_: u32) -> Result<Dropping> {
        Ok(Dropping)
    }

    fn spawn<F: FnOnce() + Send + 'static>(&self, job: F) {
        drop(job);
    }
}

/// Panics for every job.
#[derive(Debug, Clone)]
struct Panicking;

impl ThreadPool for Panicking {
    fn new(_: u32) -> Result<Panicking> {
        Ok(Panicking)
    }

    fn spawn<F: FnOnce() + Send + 'static>(&self, _: F) {
        panic!("on purpose");
    }
}

fn write_a_lot<P: ThreadPool>(level: SyncLevel) -> usize {
    let dir = tempfile::tempdir().unwrap();
    let small = options().sync(level).segment_bytes(200).dead_bytes(300);
    let store: KvStore<P> = small.open(dir.path(), 1).unwrap();
    let mut last = None;
    let mut done = 0;
    for n in 0..200 {
        match set(&store, "key", &n.to_string()).wait() {
            Ok(()) => {
                last = Some(n.to_string());
                done += 1;
            }
            Err(KvsError::EngineStopped { .. }) => {}
            Err(error) => panic!("{error}"),
        }
    }
    drop(store);
    let store: KvStore<SharedQueueThreadPool> = open(dir.path());
    assert_eq!(get(&store, "key"), last);
    done
}

#[test]
fn a_pool_may_run_its_jobs_at_once() {
    for level in [SyncLevel::Always, SyncLevel::EverySec] {
        in_time("jobs at once", move || {
            assert_eq!(write_a_lot::<AtOnce>(level), 200);
        });
    }
}

#[test]
fn a_pool_that_drops_its_jobs_or_panics_leaves_no_future_pending() {
    for level in [SyncLevel::Always, SyncLevel::EverySec] {
        in_time("dropped jobs", move || {
            let done = write_a_lot::<Dropping>(level);
            assert!(done < 200, "the pool ran the jobs");
        });
        in_time("panics", move || {
            let done = write_a_lot::<Panicking>(level);
            assert!(done < 200, "the pool ran the jobs");
        });
    }
}

#[test]
fn a_job_that_never_runs_is_an_error_of_its_future() {
    let dir = tempfile::tempdir().unwrap();
    let store: KvStore<Dropping> = open(dir.path());
    let result = set(&store, "key", "value").wait();
    assert!(matches!(result, Err(KvsError::EngineStopped { .. })));
}

#[test]
fn a_pool_that_panics_is_an_error_of_the_future_in_every_engine() {
    in_time("a panic", || {
        let job = || -> Result<()> { unreachable!("the pool runs no job") };
        let result = EngineFuture::spawn(&Panicking, job).wait();
        assert!(matches!(result, Err(KvsError::EngineStopped { .. })));
    });
}

/// A pool whose methods all call the store that runs on it.
#[derive(Debug)]
struct Calling(SharedQueueThreadPool);

static CALLED: Mutex<Option<KvStore<Calling>>> = Mutex::new(None);
static CALLS: AtomicUsize = AtomicUsize::new(0);

/// Calls the store, except during such a call.
fn call() {
    let store = CALLED.lock().unwrap().clone();
    let Some(store) = store else {
        return;
    };
    if !IS_CALLING.replace(true) {
        let _ = get(&store, "key");
        set(&store, "called", "value").wait().unwrap();
        CALLS.fetch_add(1, Ordering::SeqCst);
        IS_CALLING.set(false);
    }
}

impl Clone for Calling {
    fn clone(&self) -> Calling {
        call();
        Calling(self.0.clone())
    }
}

impl ThreadPool for Calling {
    fn new(threads: u32) -> Result<Calling> {
        SharedQueueThreadPool::new(threads).map(Calling)
    }

    fn spawn<F: FnOnce() + Send + 'static>(&self, job: F) {
        call();
        self.0.spawn(job);
    }
}

#[test]
fn a_pool_may_call_the_store_that_runs_on_it() {
    in_time("calls of the pool", || {
        let dir = tempfile::tempdir().unwrap();
        let store: KvStore<Calling> = open(dir.path());
        *CALLED.lock().unwrap() = Some(store.clone());
        for n in 0..20 {
            set(&store, "key", &n.to_string()).wait().unwrap();
        }
        *CALLED.lock().unwrap() = None;
        assert!(CALLS.load(Ordering::SeqCst) > 0);
        assert_eq!(get(&store, "called").as_deref(), Some("value"));
    });
}
