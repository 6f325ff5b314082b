//! The outcome of a batch, and the tasks that wait for it.

use std::collections::HashMap;
use std::fmt;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use futures::task::{self, Task};
use futures::{Async, Poll};

use crate::engine::inside::is_inside;
use crate::engine::kvs::log::Outcome;
use crate::engine::kvs::writer::Shared;
use crate::engine::{EngineFuture, Together};
use crate::error::{KvsError, Result};
use crate::thread_pool::ThreadPool;

/// The outcome of a batch, some time. All its futures share it: one allocation for all that is done
/// together.
pub(crate) struct Promise<P: ThreadPool> {
    // Not one of the locks of `crate::sync`: other threads must not poll in the middle of a poll,
    // and where those locks are tested all of them are one thread in truth.
    state: parking_lot::Mutex<State<P>>,
}

enum State<P: ThreadPool> {
    Waiting {
        shared: Arc<Shared<P>>,
        /// For each request whose future was polled, the task that was the last to do so.
        tasks: HashMap<usize, Task>,
    },
    Kept(Outcome),
}

/// The tasks that wait for an outcome that is there now.
#[must_use = "they wait until they are woken"]
pub(crate) struct Tasks(HashMap<usize, Task>);

impl Tasks {
    /// Wakes the tasks. That runs the user's code, so the caller holds no lock and does not have the
    /// writer's turn.
    pub(crate) fn wake(self) {
        for task in self.0.into_values() {
            // The panic hook has reported the panic, and the other tasks must be woken.
            let _ = panic::catch_unwind(AssertUnwindSafe(move || task.notify()));
        }
    }
}

impl<P: ThreadPool> Promise<P> {
    pub(super) fn new(shared: &Arc<Shared<P>>) -> Arc<Promise<P>> {
        let (shared, tasks) = (Arc::clone(shared), HashMap::new());
        Arc::new(Promise {
            state: parking_lot::Mutex::new(State::Waiting { shared, tasks }),
        })
    }

    pub(crate) fn is_kept(&self) -> bool {
        matches!(*self.state.lock(), State::Kept(_))
    }

    /// Stores the outcome. Returns the tasks that wait for it.
    pub(crate) fn keep(&self, outcome: Outcome) -> Tasks {
        let waiting = mem::replace(&mut *self.state.lock(), State::Kept(outcome));
        match waiting {
            State::Waiting { tasks, .. } => Tasks(tasks),
            State::Kept(_) => Tasks(HashMap::new()),
        }
    }

    fn begin(&self) {
        let shared = match &*self.state.lock() {
            State::Waiting { shared, .. } => Arc::clone(shared),
            State::Kept(_) => return,
        };
        if is_inside() {
            // The pool may have no other thread.
            shared.complete(self);
        } else {
            shared.begin();
        }
    }

    /// What `take` makes of the outcome for the `n`th request, when that is there.
    fn poll<T>(&self, n: usize, take: impl FnOnce(&mut Outcome) -> Result<T>) -> Poll<T, KvsError> {
        if let State::Kept(outcome) = &mut *self.state.lock() {
            return take(outcome).map(Async::Ready);
        }
        if is_inside() {
            // Another thread may have begun it, and may count on the thread that we are on.
            self.begin();
        }
        // Cloning or dropping a task may run its owner's code, so neither happens under the lock.
        let task = task::current();
        let replaced = match &mut *self.state.lock() {
            State::Kept(outcome) => return take(outcome).map(Async::Ready),
            State::Waiting { tasks, .. } => tasks.insert(n, task),
        };
        drop(replaced);
        Ok(Async::NotReady)
    }
}

impl<P: ThreadPool> Together<()> for Promise<P> {
    fn begin(&self) {
        self.begin();
    }

    fn poll(&self, n: usize) -> Poll<EngineFuture<()>, KvsError> {
        self.poll(n, |outcome| match outcome.error(n) {
            Some(error) => Err(error.clone()),
            None if outcome.missing.binary_search(&n).is_ok() => Err(KvsError::KeyNotFound),
            None => Ok(EngineFuture::done(Ok(()))),
        })
    }
}

impl<P: ThreadPool> Together<Option<String>> for Promise<P> {
    fn begin(&self) {
        self.begin();
    }

    fn poll(&self, n: usize) -> Poll<EngineFuture<Option<String>>, KvsError> {
        self.poll(n, |outcome| {
            let at = outcome.found.binary_search_by_key(&n, |(n, _)| *n);
            match (at, outcome.error(n)) {
                (Ok(at), _) => {
                    let found = &mut outcome.found[at].1;
                    Ok(mem::replace(found, EngineFuture::done(Ok(None))))
                }
                (Err(_), Some(error)) => Err(error.clone()),
                (Err(_), None) => Ok(EngineFuture::done(Ok(None))),
            }
        })
    }
}

impl<P: ThreadPool> fmt::Debug for Promise<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.state.lock() {
            State::Waiting { .. } => f.write_str("Waiting"),
            State::Kept(outcome) => outcome.fmt(f),
        }
    }
}
