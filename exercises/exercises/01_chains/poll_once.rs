// `future::result(r)` makes a future of a result that is there already. Write such a future
// yourself.
//
// Its first poll returns the item or the error. It can give the result away once only, so a second
// poll panics, with a message that says why. (Many futures of futures 0.1 do.)
// `docs/background.md`, "The trait in ten lines".

use futures::{Async, Future, Poll};

fn main() {}

/// A future that resolves at its first poll. The result is `None` from then on.
struct Immediately<T, E>(Option<Result<T, E>>);

impl<T, E> Future for Immediately<T, E> {
    type Item = T;
    type Error = E;

    fn poll(&mut self) -> Poll<T, E> {
        // TODO: which of the three answers, and when?
        Ok(Async::NotReady)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{self, AssertUnwindSafe};
    use support::{Task, within_time};

    #[test]
    fn the_first_poll_returns_the_item() {
        within_time(|| {
            let mut task = Task::new(Immediately(Some(Ok::<_, ()>("item"))));
            assert_eq!(
                task.poll(),
                Ok(Async::Ready("item")),
                "the result is there already, so the first poll returns it"
            );
        });
    }

    #[test]
    fn the_first_poll_returns_the_error() {
        within_time(|| {
            let mut task = Task::new(Immediately(Some(Err::<(), _>("error"))));
            assert_eq!(
                task.poll(),
                Err("error"),
                "the result is there already, so the first poll returns it"
            );
        });
    }

    #[test]
    fn it_has_all_combinators() {
        within_time(|| {
            let first = Immediately(Some(Ok::<_, String>(20)));
            let second = |n| Immediately(Some(Err(n + 1)));
            let chain = first.and_then(move |n| second(n).or_else(|n| Ok(2 * n)));
            // Polled once, and not with `wait`, which would sleep for ever after a `NotReady`.
            assert_eq!(
                Task::new(chain).poll(),
                Ok(Async::Ready(42)),
                "all steps are ready, so the first poll of the chain returns its value"
            );
        });
    }

    #[test]
    fn a_second_poll_panics() {
        within_time(|| {
            let mut task = Task::new(Immediately(Some(Ok::<_, ()>(()))));
            assert_eq!(task.poll(), Ok(Async::Ready(())), "the first poll");
            let second = panic::catch_unwind(AssertUnwindSafe(|| task.poll()));
            let panic = match second {
                Ok(polled) => panic!(
                    "the result is gone, so there is no right answer to a second poll, and \
                     {polled:?} is none: panic"
                ),
                Err(panic) => panic,
            };
            let message = match panic.downcast_ref::<&str>() {
                Some(message) => message,
                None => panic.downcast_ref::<String>().unwrap().as_str(),
            };
            assert!(
                !message.contains("unwrap"),
                "the message should say what the caller did wrong, and not: {message}"
            );
        });
    }
}
