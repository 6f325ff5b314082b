// A future returns the right result. But does it sleep while it waits, and is it woken when it should
// be? Count: a wake-up before anything has happened is a busy loop, and no wake-up after the event
// is a task that sleeps forever.
//
// Write the `Notify`, and poll by hand: once, and not again. `docs/testing-futures.md`, "Poll by
// hand".

#![allow(unused, reason = "only the tests use it")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::Future;
use futures::executor::{self, Notify};

fn main() {}

/// Counts the wake-ups of a task.
#[derive(Default)]
struct Wakes(AtomicUsize);

impl Notify for Wakes {
    fn notify(&self, _: usize) {
        // TODO: count.
    }
}

/// Polls `future` once, as a task. Then calls `event`. Returns how often the task was woken before
/// the event, and how often after it.
fn wakes_around<F: Future>(future: F, event: impl FnOnce()) -> (usize, usize) {
    // TODO: make a task of the future, poll it once, and read the count, before and after `event`.
    // The result of the poll does not matter.
    todo!()
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::sync::oneshot::{self, Canceled, Receiver};
    use futures::{Async, future, task};
    use std::cell::Cell;
    use support::within_time;

    /// Wakes its own task `times` times in each poll.
    fn busy(mut receiver: Receiver<()>, times: usize) -> impl Future<Item = (), Error = Canceled> {
        future::poll_fn(move || {
            (0..times).for_each(|_| task::current().notify());
            receiver.poll()
        })
    }

    #[test]
    fn a_future_that_sleeps() {
        within_time(|| {
            let (sender, receiver) = oneshot::channel();
            let event = || {
                sender
                    .send(())
                    .expect("the future is gone before the event")
            };
            let wakes = wakes_around(receiver, event);
            assert_eq!(wakes, (0, 1), "a receiver sleeps, and is woken once");
        });
    }

    #[test]
    fn a_future_that_does_not_sleep() {
        within_time(|| {
            let (sender, receiver) = oneshot::channel();
            let event = || {
                sender
                    .send(())
                    .expect("the future is gone before the event")
            };
            let wakes = wakes_around(busy(receiver, 2), event);
            assert_eq!(wakes, (2, 1), "it wakes its task twice, and is woken once");
        });
    }

    #[test]
    fn a_future_that_is_never_woken() {
        within_time(|| {
            let deaf = future::poll_fn(|| Ok::<Async<()>, ()>(Async::NotReady));
            let wakes = wakes_around(deaf, || ());
            assert_eq!(wakes, (0, 0), "nothing wakes it");
        });
    }

    #[test]
    fn the_future_is_polled_once_and_before_the_event() {
        within_time(|| {
            let polls = Cell::new(0);
            let counts = future::poll_fn(|| {
                polls.set(polls.get() + 1);
                Ok::<Async<()>, ()>(Async::NotReady)
            });
            let before = Cell::new(None);
            wakes_around(counts, || before.set(Some(polls.get())));
            let before = before.get();
            assert_eq!(before, Some(1), "the polls before the event");
            assert_eq!(polls.get(), 1, "polls in all");
        });
    }
}
