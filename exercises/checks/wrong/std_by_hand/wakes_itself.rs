//! Fails: it_is_ready_when_the_door_is_open: woken although nothing has happened

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
        if self.0.0.lock().unwrap().is_open {
            return Poll::Ready(());
        }
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}
