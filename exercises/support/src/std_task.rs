//! A task for std futures.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// A task that polls std futures by hand, and counts how often it was woken.
///
/// It owns no future, so that a test can poll one future in two tasks.
#[derive(Clone, Default)]
pub struct StdTask(Arc<Wakes>);

#[derive(Default)]
struct Wakes(AtomicUsize);

impl Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

impl StdTask {
    /// Returns a task that has not been woken yet.
    pub fn new() -> StdTask {
        StdTask::default()
    }

    /// Polls `future` once, with the waker of this task.
    pub fn poll<F: Future + ?Sized>(&self, future: Pin<&mut F>) -> Poll<F::Output> {
        future.poll(&mut Context::from_waker(&self.waker()))
    }

    /// Returns a waker of this task.
    pub fn waker(&self) -> Waker {
        Waker::from(Arc::clone(&self.0))
    }

    /// Returns how often the task was woken.
    pub fn wakes(&self) -> usize {
        self.0.0.load(Ordering::SeqCst)
    }
}
