// The leaf promises a wake-up with each `NotReady`, so each poll leaves its `Task`. The last one is
// the right one: the future may have moved to another task since the poll before.

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
        let waiting = shared.waiting.take();
        // An executor may poll inside `notify`, and the poll takes the lock.
        drop(shared);
        if let Some(task) = waiting {
            task.notify();
        }
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
