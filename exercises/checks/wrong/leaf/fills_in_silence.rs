//! Fails: the_value_wakes_the_task_that_waits: `poll` leaves its task, and `fill` notifies
#![allow(unused, reason = "as in the starter")]

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use futures::task::{self, Task};
use futures::{Async, Future, Poll};

fn main() {}

/// Makes a slot, and the only value that can fill it.
fn slot() -> (Filler, Slot) {
    let shared = Arc::<Mutex<Shared>>::default();
    let filler = Filler {
        shared: Arc::clone(&shared),
    };
    (filler, Slot { shared })
}

/// Fills the slot, from any thread.
struct Filler {
    shared: Arc<Mutex<Shared>>,
}

/// Resolves to the value in the slot.
struct Slot {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Default)]
struct Shared {
    value: Option<String>,
    /// The task that waits for the value.
    waiting: Option<Task>,
}

impl Filler {
    /// Puts `value` into the slot.
    fn fill(self, value: String) {
        let mut shared = self.shared.lock().unwrap();
        shared.value = Some(value);
    }
}

impl Future for Slot {
    type Item = String;
    type Error = Infallible;

    fn poll(&mut self) -> Poll<String, Infallible> {
        // Look and store under one lock: a `fill` between the two would find no task to wake.
        let mut shared = self.shared.lock().unwrap();
        Ok(if let Some(value) = shared.value.take() {
            Async::Ready(value)
        } else {
            shared.waiting = Some(task::current());
            Async::NotReady
        })
    }
}
