//! Fails: a_wake_up_during_the_poll_is_not_lost: poll again
#![allow(unused, reason = "as in the starter")]

use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use futures::executor::{self, Notify};
use futures::{Async, Future};

fn main() {}

#[derive(Default)]
struct Signal {
    lock: Mutex<()>,
    woken: Condvar,
}

impl Notify for Signal {
    fn notify(&self, _id: usize) {
        let _lock = self.lock.lock().unwrap();
        self.woken.notify_all();
    }
}

fn block_on<F: Future>(future: F) -> Result<F::Item, F::Error> {
    let mut task = executor::spawn(future);
    let signal = Arc::<Signal>::default();
    loop {
        if let Async::Ready(item) = task.poll_future_notify(&signal, 0)? {
            return Ok(item);
        }
        // There is no flag that says whether the task was woken before.
        drop(signal.woken.wait(signal.lock.lock().unwrap()));
    }
}
