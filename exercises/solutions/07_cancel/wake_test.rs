// Each step of the contract has its own look: after the first poll nothing has happened, so the future
// is not ready and its task was not woken. After the event, the task was woken, before anything polls
// it again. Only then the result is of interest.
//
// `send` runs on the thread of the test, so the wake-up has come when it returns. A future that waits
// for another thread needs `wait_for_wake` in its place.

use futures::sync::oneshot::{self, Canceled, Receiver};
use futures::{Async, Future};
use support::Task;

fn main() {}

/// Checks a future that waits for `receiver` and resolves to its number. Panics if the future does not
/// resolve, is not woken, or wakes its own task although nothing has happened.
fn check<F>(make: impl Fn(Receiver<u32>) -> F)
where
    F: Future<Item = u32, Error = Canceled>,
{
    let (sender, receiver) = oneshot::channel();
    let future = make(receiver);
    let mut task = Task::new(future);
    task.expect_not_ready();
    assert_eq!(task.wakes(), 0, "woken, although nothing has happened");
    sender.send(7).unwrap();
    assert_ne!(task.wakes(), 0, "no wake-up came");
    assert_eq!(task.poll(), Ok(Async::Ready(7)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::{self, Notify};
    use futures::{Async, future, task};
    use std::panic;
    use std::sync::Arc;
    use support::harness::impatiently;
    use support::within_time;

    /// Sleeps until the number is there.
    fn good(receiver: Receiver<u32>) -> impl Future<Item = u32, Error = Canceled> {
        receiver.map(|number| number)
    }

    /// Wakes its own task in each poll that is not ready.
    fn busy(mut receiver: Receiver<u32>) -> impl Future<Item = u32, Error = Canceled> {
        future::poll_fn(move || {
            let number = receiver.poll()?;
            if number.is_not_ready() {
                task::current().notify();
            }
            Ok(number)
        })
    }

    /// Polls the receiver on a task that cannot be woken.
    fn deaf(receiver: Receiver<u32>) -> impl Future<Item = u32, Error = Canceled> {
        struct Deaf;
        impl Notify for Deaf {
            fn notify(&self, _: usize) {}
        }
        let mut receiver = executor::spawn(receiver);
        future::poll_fn(move || receiver.poll_future_notify(&Arc::new(Deaf), 0))
    }

    /// Resolves to another number.
    fn wrong(receiver: Receiver<u32>) -> impl Future<Item = u32, Error = Canceled> {
        receiver.map(|number| number + 1)
    }

    /// Resolves too early.
    fn early(_: Receiver<u32>) -> impl Future<Item = u32, Error = Canceled> {
        future::ok(7)
    }

    /// Is woken, and then is never ready.
    fn stuck(mut receiver: Receiver<u32>) -> impl Future<Item = u32, Error = Canceled> {
        future::poll_fn(move || {
            let _ = receiver.poll();
            Ok(Async::NotReady)
        })
    }

    /// Returns whether the check panics.
    fn catches<F>(make: fn(Receiver<u32>) -> F) -> bool
    where
        F: Future<Item = u32, Error = Canceled> + 'static,
    {
        // If the check waits for a wake-up, it gives up after a second.
        panic::catch_unwind(|| impatiently(|| check(make))).is_err()
    }

    #[test]
    fn the_good_future_passes() {
        within_time(|| check(good));
    }

    #[test]
    fn a_lost_wake_up_is_caught() {
        within_time(|| {
            let is_caught = catches(deaf);
            assert!(
                is_caught,
                "your check passes a future that is never woken: what has to come between the event \
                 and the next poll?"
            );
        });
    }

    #[test]
    fn a_busy_loop_is_caught() {
        within_time(|| {
            let is_caught = catches(busy);
            assert!(is_caught, "your check passes a future that wakes itself");
        });
    }

    #[test]
    fn a_wrong_result_is_caught() {
        within_time(|| {
            assert!(
                catches(wrong),
                "your check passes a future that resolves to 8, not 7"
            );
            assert!(
                catches(early),
                "your check passes a future that resolves too early"
            );
            assert!(
                catches(stuck),
                "your check passes a future that never resolves"
            );
        });
    }
}
