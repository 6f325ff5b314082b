//! Tasks that call the store when they are woken or dropped.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;

use futures::Future;
use futures::executor::{self, Notify};
use kvs::engine::{EngineFuture, KvStoreOptions, SyncLevel};
use kvs::thread_pool::{NaiveThreadPool, RayonThreadPool, SharedQueueThreadPool, ThreadPool};
use kvs::{KvStore, KvsEngine, KvsError, SledKvsEngine};

use super::{Hook, get, if_woken, in_time, open, set, when_woken};

#[test]
fn a_task_may_drop_the_last_handle_when_it_is_woken() {
    fn check<P: ThreadPool>() {
        let dir = tempfile::tempdir().unwrap();
        let store: KvStore<P> = open(dir.path());
        let write = set(&store, "key", "value");
        let path = dir.path().to_owned();
        let is_done = when_woken(write, move || {
            drop(store);
            let store: KvStore<P> = open(&path);
            assert_eq!(get(&store, "key").as_deref(), Some("value"));
        });
        is_done.recv().unwrap();
    }
    in_time("one thread", check::<SharedQueueThreadPool>);
    in_time("rayon", check::<RayonThreadPool>);
    in_time("a thread for each job", check::<NaiveThreadPool>);
}

#[test]
fn a_task_may_wait_for_the_store_when_it_is_woken() {
    fn check<P: ThreadPool>() {
        let dir = tempfile::tempdir().unwrap();
        let store: KvStore<P> = open(dir.path());
        let write = set(&store, "key", "value");
        let again = store.clone();
        let is_done = when_woken(write, move || {
            set(&again, "inner", "1").wait().unwrap();
            assert_eq!(get(&again, "inner").as_deref(), Some("1"));
            again.sync().wait().unwrap();
            again.remove("inner".to_owned()).wait().unwrap();
        });
        // The store also serves other writers meanwhile.
        set(&store, "outer", "1").wait().unwrap();
        is_done.recv().unwrap();
        assert_eq!(get(&store, "inner"), None);
    }
    in_time("one thread", check::<SharedQueueThreadPool>);
    in_time("rayon", check::<RayonThreadPool>);
    in_time("a thread for each job", check::<NaiveThreadPool>);
}

/// At the default sync level, the threads that ask for short writes commit them.
#[test]
fn as_many_tasks_as_the_pool_has_threads_may_wait_while_other_threads_write() {
    fn check(threads: u32) {
        let dir = tempfile::tempdir().unwrap();
        let store: KvStore<SharedQueueThreadPool> =
            KvStoreOptions::default().open(dir.path(), threads).unwrap();
        let mut woken = 0;
        while woken < 10 * threads {
            let have_begun = Arc::new(AtomicBool::new(false));
            let is_over = Arc::new(AtomicBool::new(false));
            let hooks: Vec<_> = (0..threads)
                .filter_map(|_| {
                    let (store, have_begun) = (store.clone(), Arc::clone(&have_begun));
                    let (begins, begun) = mpsc::channel();
                    // A write of this length goes to the pool.
                    let long = set(&store, "long", &"x".repeat(1_000_000));
                    let is_done = if_woken(&mut executor::spawn(long), move || {
                        begins.send(()).unwrap();
                        write_and_sync(&store, &have_begun);
                    })?;
                    // The next hook runs on another thread of the pool.
                    begun.recv().unwrap();
                    Some(is_done)
                })
                .collect();
            let writers = [(); 3].map(|()| {
                let (store, is_over) = (store.clone(), Arc::clone(&is_over));
                thread::spawn(move || write_until(&store, &is_over))
            });
            have_begun.store(true, Ordering::SeqCst);
            for is_done in hooks {
                is_done.recv().unwrap();
                woken += 1;
            }
            is_over.store(true, Ordering::SeqCst);
            for writer in writers {
                writer.join().unwrap();
            }
        }
    }
    /// Writes 100 times after `have_begun` is set, and more often before.
    fn write_and_sync(store: &KvStore<SharedQueueThreadPool>, have_begun: &AtomicBool) {
        let mut rest = 100;
        while rest > 0 {
            set(store, "inner", "1").wait().unwrap();
            rest -= u32::from(have_begun.load(Ordering::SeqCst));
        }
        store.sync().wait().unwrap();
    }
    fn write_until(store: &KvStore<SharedQueueThreadPool>, is_over: &AtomicBool) {
        while !is_over.load(Ordering::SeqCst) {
            set(store, "outer", "1").wait().unwrap();
        }
    }
    in_time("one thread", || check(1));
    in_time("two threads", || check(2));
}

#[test]
fn a_woken_task_may_wait_for_a_write_that_another_thread_has_begun() {
    in_time("a write that has begun", || {
        let dir = tempfile::tempdir().unwrap();
        let store: KvStore<SharedQueueThreadPool> = open(dir.path());
        let (begins, begun) = mpsc::channel();
        let (passes, passed) = mpsc::channel::<EngineFuture<()>>();
        let is_done = when_woken(set(&store, "key", "value"), move || {
            begins.send(()).unwrap();
            passed.recv().unwrap().wait().unwrap();
        });
        begun.recv().unwrap();
        // The only thread of the pool runs the hook.
        let mut write = set(&store, "inner", "1");
        write.start();
        passes.send(write).unwrap();
        is_done.recv().unwrap();
        assert_eq!(get(&store, "inner").as_deref(), Some("1"));
    });
}

#[test]
fn a_task_that_waits_for_sled_may_wait_for_it_again_when_it_is_woken() {
    fn check<P: ThreadPool>(level: SyncLevel) {
        let dir = tempfile::tempdir().unwrap();
        let engine = SledKvsEngine::<P>::open(dir.path(), level, 1).unwrap();
        let key = || "inner".to_owned();
        let (_write, is_done) = loop {
            let inner = engine.clone();
            let hook = move || {
                inner.set(key(), "1".to_owned()).wait().unwrap();
                let value = inner.get(key()).wait().unwrap();
                assert_eq!(value.as_deref(), Some("1"));
                inner.remove(key()).wait().unwrap();
                let again = inner.remove(key()).wait();
                assert!(matches!(again, Err(KvsError::KeyNotFound)));
            };
            let write = engine.set("key".to_owned(), "value".to_owned());
            let mut write = executor::spawn(write);
            if let Some(is_done) = if_woken(&mut write, hook) {
                break (write, is_done);
            }
        };
        // The store serves other writers, too.
        let outer = engine.set("outer".to_owned(), "1".to_owned());
        is_done.recv().unwrap();
        outer.wait().unwrap();
        assert_eq!(engine.get(key()).wait().unwrap(), None);
    }
    for level in [SyncLevel::Always, SyncLevel::EverySec] {
        in_time("one thread", move || check::<SharedQueueThreadPool>(level));
        in_time("rayon", move || check::<RayonThreadPool>(level));
        in_time("a thread for each job", move || {
            check::<NaiveThreadPool>(level);
        });
    }
}

#[test]
fn a_task_may_drop_other_futures_when_it_is_woken_and_one_that_panics_leaves_the_others_awake() {
    in_time("futures in tasks", || {
        let dir = tempfile::tempdir().unwrap();
        let store: KvStore<SharedQueueThreadPool> = open(dir.path());
        let [first, second, third] = ["1", "2", "3"].map(|key| set(&store, key, "value"));
        let fourth = set(&store, "4", "value");
        let is_first_woken = when_woken(first, || drop(fourth));
        let is_second_woken = when_woken(second, || panic!("on purpose"));
        is_first_woken.recv().unwrap();
        third.wait().unwrap();
        // The sender was dropped without a value.
        is_second_woken.recv().unwrap_err();
        for key in ["1", "2", "3", "4"] {
            assert_eq!(get(&store, key).as_deref(), Some("value"));
        }
    });
}

/// Keeps the only thread of a pool busy until the sender is dropped. The receiver gets a message
/// after that.
fn occupy_pool(store: &KvStore<SharedQueueThreadPool>) -> (mpsc::Sender<()>, mpsc::Receiver<()>) {
    let (go_on, may_go_on) = mpsc::channel::<()>();
    let (busy, is_busy) = mpsc::channel();
    let first = when_woken(set(store, "first", ""), move || {
        busy.send(()).unwrap();
        let _ = may_go_on.recv();
    });
    is_busy.recv().unwrap();
    (go_on, first)
}

/// A thread that runs many tasks falls asleep and is woken again if they are woken one by one.
#[test]
fn the_first_task_that_is_woken_and_polled_wakes_the_others() {
    const TASKS: usize = 10;
    in_time("tasks of a batch", || {
        let dir = tempfile::tempdir().unwrap();
        let store: KvStore<SharedQueueThreadPool> = open(dir.path());
        // The writes wait for one commit.
        let (go_on, first) = occupy_pool(&store);
        let woken = Arc::new(AtomicUsize::new(0));
        let tasks = (0..TASKS).map(|n| {
            let task = executor::spawn(set(&store, &n.to_string(), "value"));
            let task = Arc::new(Mutex::new(task));
            let (again, woken) = (Arc::clone(&task), Arc::clone(&woken));
            let hook = move || {
                let before = woken.fetch_add(1, Ordering::SeqCst);
                again.lock().unwrap().wait_future().unwrap();
                if before == 0 {
                    assert_eq!(woken.load(Ordering::SeqCst), TASKS);
                }
            };
            if_woken(&mut task.lock().unwrap(), hook).unwrap()
        });
        let tasks: Vec<_> = tasks.collect();
        drop(go_on);
        for is_woken in tasks {
            is_woken.recv().unwrap();
        }
        first.recv().unwrap();
    });
}

#[test]
fn a_task_that_another_takes_the_place_of_may_call_the_store_when_it_is_dropped() {
    struct Writes(Option<KvStore<SharedQueueThreadPool>>);
    impl Notify for Writes {
        fn notify(&self, _: usize) {}
    }
    impl Drop for Writes {
        fn drop(&mut self) {
            let store = self.0.take().unwrap();
            // This is another write than the one that its task was waiting for.
            drop(set(&store, "inner", "1"));
        }
    }
    in_time("the drop of a task", || {
        let dir = tempfile::tempdir().unwrap();
        let store: KvStore<SharedQueueThreadPool> = open(dir.path());
        // The next write waits for the thread.
        let (go_on, first) = occupy_pool(&store);
        let mut write = executor::spawn(set(&store, "key", "value"));
        let writes = Arc::new(Writes(Some(store.clone())));
        assert!(write.poll_future_notify(&writes, 0).unwrap().is_not_ready());
        drop(writes);
        let (woken, is_woken) = mpsc::channel();
        let wakes = move || woken.send(()).unwrap();
        let wakes = Arc::new(Hook(Mutex::new(Some(wakes))));
        assert!(write.poll_future_notify(&wakes, 0).unwrap().is_not_ready());
        drop(go_on);
        is_woken.recv().unwrap();
        assert!(write.poll_future_notify(&wakes, 0).unwrap().is_ready());
        first.recv().unwrap();
        assert_eq!(get(&store, "inner").as_deref(), Some("1"));
    });
}
