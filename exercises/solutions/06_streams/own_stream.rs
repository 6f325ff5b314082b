// The `loop` is the lesson. If a number is left out, the inner stream has just returned an item, so
// it has promised no wake-up. We have to poll it again, until it has a number for us, ends, or
// returns `NotReady` itself. Then its promise is ours.
//
// A stream may panic if it is polled after its end, so `fuse` remembers the end for us.

use futures::stream::Fuse;
use futures::{Async, Poll, Stream, try_ready};

fn main() {}

/// The numbers of `S` that are larger than all numbers before them.
///
/// After its end, it returns `None` again, and does not poll `S` any more.
struct Rising<S> {
    inner: Fuse<S>,
    highest: Option<u64>,
}

impl<S: Stream<Item = u64>> Rising<S> {
    fn new(inner: S) -> Rising<S> {
        Rising {
            inner: inner.fuse(),
            highest: None,
        }
    }
}

impl<S: Stream<Item = u64>> Stream for Rising<S> {
    type Item = u64;
    type Error = S::Error;

    fn poll(&mut self) -> Poll<Option<u64>, S::Error> {
        loop {
            match try_ready!(self.inner.poll()) {
                // `None` is less than any number, so the first number is handed out.
                Some(n) if Some(n) <= self.highest => {}
                Some(n) => {
                    self.highest = Some(n);
                    return Ok(Async::Ready(Some(n)));
                }
                None => return Ok(Async::Ready(None)),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::VecDeque;

    use futures::future;
    use futures::sync::mpsc;
    use support::{Task, within_time};

    /// A stream that panics if it is polled after its end.
    struct Once(Option<VecDeque<u64>>);

    impl Once {
        fn new(numbers: &[u64]) -> Once {
            Once(Some(numbers.iter().copied().collect()))
        }
    }

    impl Stream for Once {
        type Item = u64;
        type Error = ();

        fn poll(&mut self) -> Poll<Option<u64>, ()> {
            let numbers = self.0.as_mut().expect(
                "the inner stream was polled after its end: remember that it has ended, or \
                 `fuse` it",
            );
            let number = numbers.pop_front();
            if number.is_none() {
                self.0 = None;
            }
            Ok(Async::Ready(number))
        }
    }

    #[test]
    fn only_numbers_that_count_up_are_left() {
        within_time(|| {
            let mut rising = Rising::new(Once::new(&[0, 0, 3, 2, 3, 4]));
            let mut next = Task::new(future::poll_fn(|| rising.poll()));
            for expected in [Some(0), Some(3), Some(4), None] {
                let number = next.poll();
                assert_ne!(
                    number,
                    Ok(Async::NotReady),
                    "the inner stream has returned a number, so it will not wake the task: if you \
                     leave the number out, poll again"
                );
                assert_eq!(number, Ok(Async::Ready(expected)), "from 0, 0, 3, 2, 3, 4");
            }
        });
    }

    #[test]
    fn it_waits_with_the_inner_stream() {
        within_time(|| {
            let (sender, numbers) = mpsc::unbounded();
            let mut rising = Rising::new(numbers);
            let mut next = Task::new(future::poll_fn(|| rising.poll()));
            for (sent, expected) in [(1, Some(1)), (1, None), (0, None), (2, Some(2))] {
                next.expect_not_ready();
                let before = next.wakes();
                sender.unbounded_send(sent).unwrap();
                assert_eq!(
                    next.wakes() - before,
                    1,
                    "{sent} has arrived: `NotReady` has promised a wake-up"
                );
                if let Some(n) = expected {
                    assert_eq!(next.poll(), Ok(Async::Ready(Some(n))));
                }
            }
        });
    }

    #[test]
    fn it_ends_once() {
        within_time(|| {
            let mut rising = Rising::new(Once::new(&[1]));
            let mut next = Task::new(future::poll_fn(|| rising.poll()));
            assert_eq!(next.poll(), Ok(Async::Ready(Some(1))));
            for _ in 0..3 {
                assert_eq!(
                    next.poll(),
                    Ok(Async::Ready(None)),
                    "the end, again and again"
                );
            }
        });
    }
}
