//! The store calls code of its user without a lock and outside the writer's turn. The tasks that it
//! wakes, its pool and the logger may call the store, wait for it, and close it.

#[path = "../common/mod.rs"]
mod common;
mod logger;
mod pools;
mod tasks;

use std::cell::Cell;
use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use futures::executor::{self, Notify, Spawn};
use futures::{Async, Future};
use kvs::engine::{EngineFuture, KvStoreOptions, SyncLevel};
use kvs::thread_pool::ThreadPool;
use kvs::{KvStore, KvsEngine};

/// Runs `test` on a separate thread. Fails if it takes too long, because then it waits for itself.
fn in_time(name: &str, test: impl FnOnce() + Send + 'static) {
    let (done, is_done) = mpsc::channel();
    let thread = thread::spawn(move || {
        test();
        let _ = done.send(());
    });
    match is_done.recv_timeout(Duration::from_secs(30)) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("{name}: the store waits for ever"),
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
    if_woken(&mut executor::spawn(future), hook).expect("the future is not pending")
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

thread_local! {
    static IS_CALLING: Cell<bool> = const { Cell::new(false) };
}
