//! Fails: a_future_that_does_not_sleep: it wakes its task twice, and is woken once

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::Future;
use futures::executor::{self, Notify};

fn main() {}

/// Counts the wake-ups of a task.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Notify for Wakes {
    fn notify(&self, _: usize) {
        self.0.store(1, Ordering::SeqCst);
    }
}

/// Polls `future` once, as a task. Then calls `event`. Returns how often the task was woken before
/// the event, and how often after it.
fn wakes_around<F: Future>(future: F, event: impl FnOnce()) -> (usize, usize) {
    let wakes = Arc::new(Wakes::default());
    let mut task = executor::spawn(future);
    let _ = task.poll_future_notify(&wakes, 0);
    let before = wakes.0.swap(0, Ordering::SeqCst);
    event();
    (before, wakes.0.load(Ordering::SeqCst))
}
