// A test is an executor that decides when it polls. So it can look between two steps: after the poll,
// when nothing has happened, and after the event, before the next poll.
//
// The second number is a difference. A future that has woken itself before may not hide that the
// wake-up of the event is missing.

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
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// Polls `future` once, as a task. Then calls `event`. Returns how often the task was woken before
/// the event, and how often after it.
fn wakes_around<F: Future>(future: F, event: impl FnOnce()) -> (usize, usize) {
    let wakes = Arc::new(Wakes::default());
    let mut task = executor::spawn(future);
    // Only the wake-ups matter here, not the result.
    let _ = task.poll_future_notify(&wakes, 0);
    let before = wakes.0.load(Ordering::SeqCst);
    event();
    let all = wakes.0.load(Ordering::SeqCst);
    (before, all - before)
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
