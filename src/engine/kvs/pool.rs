//! The thread pool of a store. It is the user's code, so none of its methods is called under a lock.

use std::panic::{self, AssertUnwindSafe};

use crate::engine::inside::Inside;
use crate::sync::{Condvar, Mutex};
use crate::thread_pool::ThreadPool;

/// Handles to one pool, which need not be `Sync`: each is used by one thread at a time.
#[derive(Debug)]
pub(crate) struct Pool<P> {
    handles: Mutex<Vec<P>>,
    is_back: Condvar,
}

impl<P: ThreadPool> Pool<P> {
    pub(crate) fn new(handle: P) -> Pool<P> {
        Pool {
            // One handle to clone, and another one in case the clone calls the store.
            handles: Mutex::new(vec![handle.clone(), handle]),
            is_back: Condvar::new(),
        }
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
