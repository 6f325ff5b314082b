//! The user's code runs without a lock and without the writer's turn. The tasks that a store wakes,
//! its pool and the logger may call the store, wait for it, and close it.

#[path = "../common/mod.rs"]
mod common;

use std::cell::Cell;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;
use std::time::Duration;

use common::disk::{Disk, Faults};
use futures::executor::{self, Notify, Spawn};
use futures::{Async, Future};
use kvs::engine::{EngineFuture, KvStoreOptions, SyncLevel};
use kvs::thread_pool::{NaiveThreadPool, RayonThreadPool, SharedQueueThreadPool, ThreadPool};
use kvs::{KvStore, KvsEngine, KvsError, Result, SledKvsEngine};
use log::{LevelFilter, Log, Metadata, Record};

/// Runs `test` on a separate thread, and fails if it takes too long, because then it waits for
/// itself.
fn in_time(what: &str, test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match is_done.recv_timeout(Duration::from_secs(30)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{what}: it waits for ever"),
        _ => thread.join().unwrap(),
    }
}

/// Runs a hook when the task is woken for the first time.
struct Hook<F>(Mutex<Option<F>>);

impl<F: FnOnce() + Send> Notify for Hook<F> {
    fn notify(&self, _: usize) {
        let hook = self.0.lock().unwrap().take();
        if let Some(hook) = hook {
            hook();
        }
    }
}

/// Polls `future` once, which must be pending, and runs `hook` when its task is woken. The receiver
/// gets a message when the hook has returned.
fn when_woken<T>(
    future: EngineFuture<T>,
    hook: impl FnOnce() + Send + 'static,
) -> mpsc::Receiver<()> {
    if_woken(&mut executor::spawn(future), hook).expect("it does not wait")
}

/// Polls the future of `task` once, and runs `hook` when the task is woken. The receiver gets a
/// message when the hook has returned. Returns `None` if the future has completed already.
fn if_woken<T>(
    task: &mut Spawn<EngineFuture<T>>,
    hook: impl FnOnce() + Send + 'static,
) -> Option<mpsc::Receiver<()>> {
    let (done, is_done) = mpsc::channel();
    let hook = move || {
        hook();
        let _ = done.send(());
    };
    let hook = Arc::new(Hook(Mutex::new(Some(hook))));
    let polled = task.poll_future_notify(&hook, 0);
    matches!(polled, Ok(Async::NotReady)).then_some(is_done)
}

fn set<P: ThreadPool>(store: &KvStore<P>, key: &str, value: &str) -> EngineFuture<()> {
    store.set(key.to_owned(), value.to_owned())
}

fn get<P: ThreadPool>(store: &KvStore<P>, key: &str) -> Option<String> {
    store.get(key.to_owned()).wait().unwrap()
}

/// Returns options with which each write is a job on the pool, and so is each read of a value that
/// is not in memory.
fn options() -> KvStoreOptions {
    KvStoreOptions::default()
        .sync(SyncLevel::Always)
        .cache_bytes(0)
}

fn open<P: ThreadPool>(dir: &Path) -> KvStore<P> {
    options().open(dir, 1).unwrap()
}

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
        // Other writers get their turn meanwhile, too.
        set(&store, "outer", "1").wait().unwrap();
        is_done.recv().unwrap();
        assert_eq!(get(&store, "inner"), None);
    }
    in_time("one thread", check::<SharedQueueThreadPool>);
    in_time("rayon", check::<RayonThreadPool>);
    in_time("a thread for each job", check::<NaiveThreadPool>);
}

/// At the default level of sync, short writes are committed by the threads that ask for them.
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
                    // A write as long as this goes to the pool.
                    let long = set(&store, "long", &"x".repeat(1_000_000));
                    let is_done = if_woken(&mut executor::spawn(long), move || {
                        begins.send(()).unwrap();
                        let mut rest = 100;
                        while rest > 0 {
                            set(&store, "inner", "1").wait().unwrap();
                            rest -= u32::from(have_begun.load(Ordering::SeqCst));
                        }
                        store.sync().wait().unwrap();
                    })?;
                    // The next hook is for another thread of the pool.
                    begun.recv().unwrap();
                    Some(is_done)
                })
                .collect();
            let writers = [(); 3].map(|()| {
                let (store, is_over) = (store.clone(), Arc::clone(&is_over));
                thread::spawn(move || {
                    while !is_over.load(Ordering::SeqCst) {
                        set(&store, "outer", "1").wait().unwrap();
                    }
                })
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
        // The pool's only thread is in the hook.
        let mut write = set(&store, "inner", "1");
        write.begin();
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
        // Other writers get their turn, too.
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
        // Its sender was dropped without a value.
        is_second_woken.recv().unwrap_err();
        for key in ["1", "2", "3", "4"] {
            assert_eq!(get(&store, key).as_deref(), Some("value"));
        }
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
            // This is a second write, besides the one that its task was waiting for.
            drop(set(&store, "inner", "1"));
        }
    }
    in_time("the drop of a task", || {
        let dir = tempfile::tempdir().unwrap();
        let store: KvStore<SharedQueueThreadPool> = open(dir.path());
        // While the only thread of the pool waits for us, the next write waits as well.
        let (go_on, may_go_on) = mpsc::channel::<()>();
        let (busy, is_busy) = mpsc::channel();
        let first = when_woken(set(&store, "first", ""), move || {
            busy.send(()).unwrap();
            let _ = may_go_on.recv();
        });
        is_busy.recv().unwrap();
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

/// Takes no job.
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

/// Panics with every job.
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
fn a_pool_that_drops_its_jobs_or_panics_leaves_nobody_waiting() {
    for level in [SyncLevel::Always, SyncLevel::EverySec] {
        in_time("dropped jobs", move || {
            let done = write_a_lot::<Dropping>(level);
            assert!(done < 200, "it did the jobs");
        });
        in_time("panics", move || {
            let done = write_a_lot::<Panicking>(level);
            assert!(done < 200, "it did the jobs");
        });
    }
}

#[test]
fn a_pool_that_panics_is_an_error_of_the_future_in_every_engine() {
    in_time("a panic", || {
        let job = || -> Result<()> { unreachable!("it takes no job") };
        let result = EngineFuture::spawn(&Panicking, job).wait();
        assert!(matches!(result, Err(KvsError::EngineStopped { .. })));
    });
}

/// A pool whose methods all call the store that runs on it.
#[derive(Debug)]
struct Calling(SharedQueueThreadPool);

static CALLED: Mutex<Option<KvStore<Calling>>> = Mutex::new(None);
static CALLS: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    static IS_CALLING: Cell<bool> = const { Cell::new(false) };
}

/// Calls the store, unless this is already inside such a call.
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

type OnLine = Arc<dyn Fn(&str) + Send + Sync>;

static ON_LINE: Mutex<Option<OnLine>> = Mutex::new(None);

struct CallingLogger;

impl Log for CallingLogger {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &Record<'_>) {
        let on_line = ON_LINE.lock().unwrap().clone();
        if let Some(on_line) = on_line
            && !IS_CALLING.replace(true)
        {
            on_line(&record.args().to_string());
            IS_CALLING.set(false);
        }
    }

    fn flush(&self) {}
}

/// The process has one logger, so these tests take turns.
fn with_logger() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _ = log::set_boxed_logger(Box::new(CallingLogger));
    log::set_max_level(LevelFilter::Info);
    alone
}

#[test]
fn a_logger_may_call_the_store_that_it_hears_of() {
    let _alone = with_logger();
    in_time("calls of the logger", || {
        let dir = tempfile::tempdir().unwrap();
        let options = options().segment_bytes(200).dead_bytes(300);
        let store: KvStore<SharedQueueThreadPool> = options.open(dir.path(), 1).unwrap();
        let (heard, lines) = mpsc::channel();
        let called = store.clone();
        *ON_LINE.lock().unwrap() = Some(Arc::new(move |line: &str| {
            if line.contains("freed") {
                set(&called, "logged", line).wait().unwrap();
                assert_eq!(get(&called, "logged").as_deref(), Some(line));
                let _ = heard.send(());
            }
        }));
        while lines.try_recv().is_err() {
            set(&store, "key", "value").wait().unwrap();
        }
        *ON_LINE.lock().unwrap() = None;
    });
}

/// The line comes from the writer, or from the thread that syncs every second.
#[test]
fn a_logger_may_drop_the_last_handle_of_the_store_that_it_hears_of() {
    for level in [SyncLevel::Always, SyncLevel::EverySec] {
        let _alone = with_logger();
        in_time("a logger that closes the store", move || {
            let disk = Disk::default();
            let options = options().sync(level);
            let store: KvStore<SharedQueueThreadPool> = options.open_in(disk.clone(), 1).unwrap();
            disk.set_faults(Faults {
                sync_file: true,
                ..Faults::default()
            });
            let write = set(&store, "key", "value");
            let store = Mutex::new(Some(store));
            let (heard, lines) = mpsc::channel();
            *ON_LINE.lock().unwrap() = Some(Arc::new(move |line: &str| {
                if line.contains("no more writes") {
                    drop(store.lock().unwrap().take());
                    let _ = heard.send(());
                }
            }));
            let _ = write.wait();
            lines.recv().unwrap();
            *ON_LINE.lock().unwrap() = None;
        });
    }
}
