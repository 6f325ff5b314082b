//! The promise of a batch: its outcome, and the tasks that wait for it.

use std::collections::HashMap;
use std::collections::hash_map::IntoValues;
use std::fmt;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use futures::task::{self, Task};
use futures::{Async, Poll};

use crate::engine::inside::is_inside;
use crate::engine::kvs::log::Outcome;
use crate::engine::{Deferred, EngineFuture};
use crate::error::{KvsError, Result};

/// The writer, as a promise needs it. With this trait, promises and queue are the same types for
/// every thread pool.
pub(super) trait Commit: Send + Sync {
    /// Starts a commit if writes are queued and no thread is writing.
    fn start(self: Arc<Self>);

    /// Commits the queued writes on this thread until `promise` is kept, or waits while another
    /// thread commits them.
    fn complete(self: Arc<Self>, promise: &Promise);
}

/// The outcome of a batch, once there is one. The futures of all its requests share it, so that a
/// batch needs one of it. A task that waits for several of the requests is registered once for each
/// of them, and woken as often.
pub(super) struct Promise {
    // This is not one of the locks of `crate::sync`: no thread waits while it holds this, so there
    // is no order of threads to test.
    state: parking_lot::Mutex<State>,
}

enum State {
    Waiting {
        writer: Arc<dyn Commit>,
        /// For each request whose future was polled, the task that polled it last.
        tasks: HashMap<usize, Task>,
    },
    Kept {
        outcome: Outcome,
        /// The tasks that are not woken yet. Empty until [`Tasks::wake`] is called.
        sleeping: IntoValues<usize, Task>,
    },
}

/// The tasks that wait for an outcome which is now there.
#[must_use = "they wait until they are woken"]
pub(super) struct Tasks {
    promise: Arc<Promise>,
    tasks: HashMap<usize, Task>,
}

impl Tasks {
    /// Wakes the tasks. That runs the user's code, so the caller holds no lock and does not have
    /// the writer's turn.
    ///
    /// A task that is polled meanwhile [helps](Promise::poll).
    pub(super) fn wake(self) {
        let Tasks { promise, tasks } = self;
        if let State::Kept { sleeping, .. } = &mut *promise.state.lock() {
            *sleeping = tasks.into_values();
        }
        while let Some(task) = promise.next_sleeping() {
            wake(task);
        }
    }
}

fn wake(task: Task) {
    // The panic hook has reported the panic, and the other tasks must be woken.
    let _ = panic::catch_unwind(AssertUnwindSafe(move || task.notify()));
}

impl Promise {
    pub(super) fn new(writer: Arc<dyn Commit>) -> Arc<Promise> {
        let tasks = HashMap::new();
        Arc::new(Promise {
            state: parking_lot::Mutex::new(State::Waiting { writer, tasks }),
        })
    }

    pub(super) fn is_kept(&self) -> bool {
        matches!(*self.state.lock(), State::Kept { .. })
    }

    /// Stores the outcome, once. Returns the tasks that wait for it.
    pub(super) fn keep(self: &Arc<Self>, outcome: Outcome) -> Tasks {
        let kept = State::Kept {
            outcome,
            sleeping: IntoValues::default(),
        };
        let tasks = match mem::replace(&mut *self.state.lock(), kept) {
            State::Waiting { tasks, .. } => tasks,
            State::Kept { .. } => HashMap::new(),
        };
        let promise = Arc::clone(self);
        Tasks { promise, tasks }
    }

    fn next_sleeping(&self) -> Option<Task> {
        match &mut *self.state.lock() {
            State::Waiting { .. } => None,
            State::Kept { sleeping, .. } => sleeping.next(),
        }
    }

    fn start(&self) {
        let writer = match &*self.state.lock() {
            State::Waiting { writer, .. } => Arc::clone(writer),
            State::Kept { .. } => return,
        };
        if is_inside() {
            // The caller may wait for this promise on the only thread of the pool.
            writer.complete(self);
        } else {
            writer.start();
        }
    }

    /// Returns the part of the outcome that `take` takes for the request `n`, once there is one.
    fn poll<T>(&self, n: usize, take: impl FnOnce(&mut Outcome) -> Result<T>) -> Poll<T, KvsError> {
        let mut state = self.state.lock();
        if let State::Kept { outcome, sleeping } = &mut *state {
            let (taken, rest) = (take(outcome), mem::take(sleeping));
            drop(state);
            // If this thread runs those tasks as well, it would fall asleep after each of them, for
            // the other thread to wake it again.
            rest.for_each(wake);
            return taken.map(Async::Ready);
        }
        drop(state);
        if is_inside() {
            // Another thread may have started the commit, and may wait for a job that only this
            // thread can run.
            self.start();
        }
        // Cloning or dropping a task may run its owner's code, so neither happens under the lock.
        let task = task::current();
        let replaced = match &mut *self.state.lock() {
            State::Kept { outcome, .. } => return take(outcome).map(Async::Ready),
            State::Waiting { tasks, .. } => tasks.insert(n, task),
        };
        drop(replaced);
        Ok(Async::NotReady)
    }
}

impl Deferred<()> for Promise {
    fn start(&self) {
        self.start();
    }

    fn poll(&self, n: usize) -> Poll<EngineFuture<()>, KvsError> {
        self.poll(n, |outcome| match outcome.error(n) {
            Some(error) => Err(error.clone()),
            None if outcome.missing.binary_search(&n).is_ok() => Err(KvsError::KeyNotFound),
            None => Ok(EngineFuture::done(Ok(()))),
        })
    }
}

impl Deferred<Option<String>> for Promise {
    fn start(&self) {
        self.start();
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

impl fmt::Debug for Promise {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.state.lock() {
            State::Waiting { .. } => f.write_str("Waiting"),
            State::Kept { outcome, .. } => outcome.fmt(f),
        }
    }
}
