// A thread looks something up, and a future is to resolve to the result. One side, the `Filler`,
// puts the value into a slot. The other side, the `Slot`, is the future. There is no future below
// it that could do the waiting, so `Slot` is a leaf: wake-ups begin here.
//
// Write `fill` and `poll`. They share a value and a `Task` under a lock, so neither of them can come
// between two steps of the other.
// `docs/from-nothing.md`, "The leaf".
#![allow(unused, reason = "you will use it")]

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
        // TODO: store the value, and wake the task that waits for it, if there is one.
        self.shared.lock().unwrap().value = Some(value);
    }
}

impl Future for Slot {
    type Item = String;
    type Error = Infallible;

    fn poll(&mut self) -> Poll<String, Infallible> {
        // TODO: take the value, or keep the task of this poll.
        Ok(match self.shared.lock().unwrap().value.take() {
            Some(value) => Async::Ready(value),
            None => Async::NotReady,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use support::{Task, within_time};

    #[test]
    fn a_value_that_is_there_needs_no_wake_up() {
        within_time(|| {
            let (filler, slot) = slot();
            filler.fill("value".to_owned());
            let mut task = Task::new(slot);
            let value = task.poll();
            assert_eq!(value, Ok(Async::Ready("value".to_owned())), "the value");
            assert_eq!(task.wakes(), 0, "woken although it was ready at once");
        });
    }

    #[test]
    fn the_value_wakes_the_task_that_waits() {
        within_time(|| {
            let (filler, slot) = slot();
            let mut task = Task::new(slot);
            task.expect_not_ready();
            std::thread::spawn(|| filler.fill("value".to_owned()))
                .join()
                .unwrap();
            assert_eq!(
                task.wakes(),
                1,
                "wake-ups for the value: `poll` leaves its task, and `fill` notifies that task, once"
            );
            let value = task.poll();
            assert_eq!(value, Ok(Async::Ready("value".to_owned())), "the value");
        });
    }

    #[test]
    fn nothing_wakes_the_task_before_there_is_a_value() {
        within_time(|| {
            let (_filler, slot) = slot();
            let mut task = Task::new(slot);
            for _ in 0..3 {
                task.expect_not_ready();
            }
            assert_eq!(
                task.wakes(),
                0,
                "woken although nothing happened: that is a busy loop"
            );
        });
    }

    #[test]
    fn the_task_that_polled_last_is_woken() {
        within_time(|| {
            let (filler, mut slot) = slot();
            Task::new(&mut slot).expect_not_ready();
            let mut second = Task::new(slot);
            second.expect_not_ready();
            filler.fill("value".to_owned());
            assert_eq!(
                second.wakes(),
                1,
                "the slot has moved, and the task that has it now was not woken"
            );
        });
    }
}
