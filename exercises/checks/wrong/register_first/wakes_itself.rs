//! Fails: nothing_wakes_the_task_while_the_flag_is_down: that is a busy loop
#![allow(unused, reason = "as in the starter")]

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::task::AtomicTask;
use futures::{Async, Future, Poll, task};

fn main() {}

/// What the future needs of a flag: two steps. Between them, the other thread may come.
trait Flag {
    /// Returns whether the flag is up.
    fn is_up(&self) -> bool;

    /// Keeps the current task, which the other thread wakes after it has raised the flag.
    fn register(&self);
}

/// The flag of the program. The tests have another one.
#[derive(Default)]
struct Shared {
    is_up: AtomicBool,
    waiting: AtomicTask,
}

impl Shared {
    /// Raises the flag, from any thread.
    fn raise(&self) {
        self.is_up.store(true, Ordering::SeqCst);
        self.waiting.notify();
    }
}

impl Flag for Shared {
    fn is_up(&self) -> bool {
        self.is_up.load(Ordering::SeqCst)
    }

    fn register(&self) {
        self.waiting.register();
    }
}

/// Resolves when the flag is up.
struct Raised<F>(F);

impl<F: Flag> Future for Raised<F> {
    type Item = ();
    type Error = Infallible;

    fn poll(&mut self) -> Poll<(), Infallible> {
        if self.0.is_up() {
            return Ok(Async::Ready(()));
        }
        self.0.register();
        task::current().notify();
        Ok(Async::NotReady)
    }
}
