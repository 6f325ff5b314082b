//! The thread pool of a store.
//!
//! A pool is the user's code, and may call the store. So the store holds no lock when it calls a
//! method of the pool.

use std::panic::{self, AssertUnwindSafe};

use crate::engine::EngineFuture;
use crate::engine::inside::{Inside, is_inside};
use crate::engine::kvs::journal::Journal;
use crate::error::Result;
use crate::sync::{Condvar, Mutex};
use crate::thread_pool::ThreadPool;

/// Handles to one pool. They need not be `Sync`, so only one thread at a time uses each.
#[derive(Debug)]
pub(crate) struct Pool<P> {
    handles: Mutex<Vec<P>>,
    is_back: Condvar,
    journal: Journal,
}

impl<P: ThreadPool> Pool<P> {
    /// The jobs of [`run`](Pool::run) write out `journal`.
    pub(crate) fn new(handle: P, journal: Journal) -> Pool<P> {
        Pool {
            // One handle to clone, and another one in case the clone calls the store.
            handles: Mutex::new(vec![handle.clone(), handle]),
            is_back: Condvar::new(),
            journal,
        }
    }

    /// Runs `job` on the pool and returns the future of its result. If this thread is inside a
    /// pool, runs it at once.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> EngineFuture<T> {
        self.run_first(move || EngineFuture::done(job()))
    }

    /// Runs `job` as [`run`](Pool::run) does, and returns a future that continues as its result.
    pub(crate) fn run_first<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> EngineFuture<T> + Send + 'static,
    ) -> EngineFuture<T> {
        let journal = self.journal.clone();
        if is_inside() {
            let next = job();
            journal.write_out();
            return next;
        }
        let (sender, future) = EngineFuture::pending();
        self.spawn(move || {
            let next = job();
            // If the future has been dropped, the result is not needed.
            let _ = sender.send(next);
            journal.write_out();
        });
        future
    }

    /// Runs `job` on the pool, or drops it if the pool does not take it.
    pub(crate) fn spawn(&self, job: impl FnOnce() + Send + 'static) {
        let job = move || {
            let _inside = Inside::enter();
            job();
        };
        let _inside = Inside::enter();
        let spawned = panic::catch_unwind(AssertUnwindSafe(|| self.borrow().get().spawn(job)));
        // The panic hook has reported the panic, and dropping the job has failed its futures.
        drop(spawned);
    }

    /// Calls `run` with `context` on the pool. If the pool does not take the job, or drops it
    /// later, calls `dropped` instead.
    pub(crate) fn spawn_or<T: Send + 'static>(
        &self,
        context: T,
        run: impl FnOnce(T) + Send + 'static,
        dropped: impl FnOnce(T) + Send + 'static,
    ) {
        let mut job = Droppable(Some((context, run, dropped)));
        self.spawn(move || {
            if let Some((context, run, _)) = job.0.take() {
                run(context);
            }
        });
    }

    fn borrow(&self) -> Borrowed<'_, P> {
        let mut handles = self.handles.lock();
        let handle = loop {
            match handles.pop() {
                Some(handle) => break handle,
                None => self.is_back.wait(&mut handles),
            }
        };
        let is_last = handles.is_empty();
        drop(handles);
        let borrowed = Borrowed {
            pool: self,
            handle: Some(handle),
        };
        if is_last {
            // If the pool runs the job at once on this thread, the job may need a handle too.
            self.put_back(borrowed.get().clone());
        }
        borrowed
    }

    fn put_back(&self, handle: P) {
        self.handles.lock().push(handle);
        self.is_back.notify_one();
    }
}

/// A job with its context, until it runs, and the call that replaces it if it is dropped.
struct Droppable<T, R: FnOnce(T), D: FnOnce(T)>(Option<(T, R, D)>);

impl<T, R: FnOnce(T), D: FnOnce(T)> Drop for Droppable<T, R, D> {
    fn drop(&mut self) {
        if let Some((context, _, dropped)) = self.0.take() {
            dropped(context);
        }
    }
}

struct Borrowed<'a, P: ThreadPool> {
    pool: &'a Pool<P>,
    /// `Some` until the drop.
    handle: Option<P>,
}

impl<P: ThreadPool> Borrowed<'_, P> {
    fn get(&self) -> &P {
        self.handle.as_ref().expect("it is there until the drop")
    }
}

impl<P: ThreadPool> Drop for Borrowed<'_, P> {
    fn drop(&mut self) {
        if let Some(handle) = self.handle.take() {
            self.pool.put_back(handle);
        }
    }
}
