// `open` and `poll` change the state behind one lock. So the door cannot open between the look at
// `is_open` and the moment in which the waker is kept: no wake-up is lost.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

fn main() {}

/// A door that one part of a program opens, and that other parts wait for. Clones are the same door.
#[derive(Clone, Default)]
struct Door(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    is_open: bool,
    /// The waker of the task that waits.
    waiting: Option<Waker>,
}

impl Door {
    /// Opens the door, and wakes the task that waits for it.
    fn open(&self) {
        let mut state = self.0.lock().unwrap();
        state.is_open = true;
        let waiting = state.waiting.take();
        drop(state);
        if let Some(waiting) = waiting {
            waiting.wake();
        }
    }

    /// Returns a future that is ready when the door is open.
    fn opened(&self) -> Opened {
        Opened(self.clone())
    }
}

/// The future that [`Door::opened`] returns.
struct Opened(Door);

impl Future for Opened {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.0.0.lock().unwrap();
        if state.is_open {
            return Poll::Ready(());
        }
        // The future may have moved to another task since the last poll. A waker that is kept only
        // the first time would wake a task that does not poll this future any more.
        let kept = state.waiting.as_ref();
        if !kept.is_some_and(|kept| kept.will_wake(cx.waker())) {
            state.waiting = Some(cx.waker().clone());
        }
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::pin::pin;
    use support::{StdTask, within_time};

    #[test]
    fn it_is_ready_when_the_door_is_open() {
        within_time(|| {
            let (door, task) = (Door::default(), StdTask::new());
            let mut opened = pin!(door.opened());
            let first = task.poll(opened.as_mut());
            assert_eq!(first, Poll::Pending, "the door is still closed");
            assert_eq!(task.wakes(), 0, "woken although nothing has happened");
            door.open();
            assert_eq!(
                task.wakes(),
                1,
                "no wake-up came: a poll that returns `Pending` keeps its waker"
            );
            let second = task.poll(opened.as_mut());
            assert_eq!(second, Poll::Ready(()), "the door is open");
        });
    }

    #[test]
    fn an_open_door_lets_you_in_at_once() {
        within_time(|| {
            let (door, task) = (Door::default(), StdTask::new());
            door.open();
            let first = task.poll(pin!(door.opened()));
            assert_eq!(first, Poll::Ready(()), "the door is open");
        });
    }

    #[test]
    fn the_task_of_the_last_poll_is_woken() {
        within_time(|| {
            let (door, first, second) = (Door::default(), StdTask::new(), StdTask::new());
            let mut opened = pin!(door.opened());
            for task in [&first, &first, &second] {
                let poll = task.poll(opened.as_mut());
                assert_eq!(poll, Poll::Pending, "the door is still closed");
                assert_eq!(task.wakes(), 0, "woken although nothing has happened");
            }
            door.open();
            assert_eq!(
                second.wakes(),
                1,
                "the second task polled last, and was not woken: does the state keep an old waker?"
            );
            assert_eq!(first.wakes(), 0, "only the last task waits");
        });
    }
}
