//! Fails: the_thread_sleeps_until_the_task_is_woken: polled again and again although nothing woke
#![allow(unused, reason = "as in the starter")]

use std::sync::Arc;
use std::thread::{self, Thread};

use futures::executor::{self, Notify};
use futures::{Async, Future};

fn main() {}

/// Wakes the thread that polls.
struct Unpark(Thread);

impl Notify for Unpark {
    fn notify(&self, _id: usize) {
        self.0.unpark();
    }
}

/// Polls the future on this thread until it completes.
fn block_on<F: Future>(future: F) -> Result<F::Item, F::Error> {
    let mut task = executor::spawn(future);
    let this_thread = Arc::new(Unpark(thread::current()));
    loop {
        if let Async::Ready(item) = task.poll_future_notify(&this_thread, 0)? {
            return Ok(item);
        }
        thread::yield_now();
    }
}
