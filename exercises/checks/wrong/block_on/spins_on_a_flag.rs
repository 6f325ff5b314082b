//! Fails: the_thread_sleeps_until_the_task_is_woken: is there a loop without a sleep?
#![allow(unused, reason = "as in the starter")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use futures::executor::{self, Notify};
use futures::{Async, Future};

fn main() {}

struct Woken(AtomicBool);

impl Notify for Woken {
    fn notify(&self, _id: usize) {
        self.0.store(true, Ordering::SeqCst);
    }
}

fn block_on<F: Future>(future: F) -> Result<F::Item, F::Error> {
    let mut task = executor::spawn(future);
    let woken = Arc::new(Woken(AtomicBool::new(true)));
    loop {
        if woken.0.swap(false, Ordering::SeqCst)
            && let Async::Ready(item) = task.poll_future_notify(&woken, 0)?
        {
            return Ok(item);
        }
    }
}
