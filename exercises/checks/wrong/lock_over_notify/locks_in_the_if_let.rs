//! Fails: a_woken_task_may_run_at_once: which lock does the woken task need

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use futures::task::{self, Task};
use futures::{Async, Future, Poll};

fn main() {}

#[derive(Clone, Default)]
struct Latest(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The value, unless it was taken.
    value: Option<u32>,
    /// The task that waits for a value.
    waiting: Option<Task>,
}

impl Latest {
    /// Stores a value, and wakes the task that waits for one.
    fn set(&self, value: u32) {
        self.0.lock().unwrap().value = Some(value);
        if let Some(task) = self.0.lock().unwrap().waiting.take() {
            task.notify();
        }
    }

    /// Resolves to the latest value, which no other future has taken.
    fn changed(&self) -> Changed {
        Changed(self.clone())
    }
}

struct Changed(Latest);

impl Future for Changed {
    type Item = u32;
    type Error = Infallible;

    fn poll(&mut self) -> Poll<u32, Infallible> {
        let Latest(shared) = &self.0;
        let mut state = shared.lock().unwrap();
        if let Some(value) = state.value.take() {
            return Ok(Async::Ready(value));
        }
        state.waiting = Some(task::current());
        Ok(Async::NotReady)
    }
}
