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
    use futures::executor::{self, Notify};
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
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

    /// Looks into the slot when it is woken, unless `fill` still has the lock.
    struct Look {
        shared: Arc<Mutex<Shared>>,
        is_too_early: AtomicBool,
    }

    impl Notify for Look {
        fn notify(&self, _id: usize) {
            let is_empty = self.shared.try_lock().is_ok_and(|it| it.value.is_none());
            self.is_too_early.fetch_or(is_empty, Ordering::SeqCst);
        }
    }

    #[test]
    fn the_value_is_there_before_the_wake_up() {
        within_time(|| {
            let (filler, slot) = slot();
            let look = Arc::new(Look {
                shared: Arc::clone(&slot.shared),
                is_too_early: AtomicBool::new(false),
            });
            let first = executor::spawn(slot).poll_future_notify(&look, 0);
            assert_eq!(first, Ok(Async::NotReady), "there is no value yet");
            filler.fill("value".to_owned());
            assert!(
                !look.is_too_early.load(Ordering::SeqCst),
                "woken while the slot is still empty: a poll may come right now, so store the \
                 value first"
            );
        });
    }

    /// Another thread, which comes when the poll calls `task::current()`: this calls `clone_id`. It
    /// fills the slot, unless the poll has the lock.
    struct OtherThread {
        filler: Mutex<Option<Filler>>,
        wakes: AtomicUsize,
    }

    impl Notify for OtherThread {
        fn notify(&self, _id: usize) {
            self.wakes.fetch_add(1, Ordering::SeqCst);
        }

        fn clone_id(&self, id: usize) -> usize {
            let filler = self.filler.lock().unwrap().take();
            if let Some(filler) = filler {
                let is_locked = filler.shared.try_lock().is_err();
                if is_locked {
                    *self.filler.lock().unwrap() = Some(filler);
                } else {
                    filler.fill("value".to_owned());
                }
            }
            id
        }
    }

    #[test]
    fn a_value_that_comes_during_the_poll_is_not_lost() {
        within_time(|| {
            let (filler, slot) = slot();
            let other = Arc::new(OtherThread {
                filler: Mutex::new(Some(filler)),
                wakes: AtomicUsize::new(0),
            });
            let mut task = executor::spawn(slot);
            let is_ready = task.poll_future_notify(&other, 0).unwrap().is_ready();
            let filler = other.filler.lock().unwrap().take();
            if let Some(filler) = filler {
                filler.fill("value".to_owned()); // the poll had the lock, so it comes after it
            }
            assert!(
                is_ready || other.wakes.load(Ordering::SeqCst) > 0,
                "lost: the value came after `poll` had looked, and before it kept its task. Do both \
                 under one lock"
            );
        });
    }
}
