// A program reads the version of a document again and again, and gets a stream of numbers. Most of
// them are the same as before, and now and then an old one arrives late. You want a stream of those
// that count up: each number that is larger than all numbers before it.
//
// Write its `poll`. Two questions decide whether it is right:
// - If a number is left out, what do you return, and who wakes the task then?
// - After the end of the inner stream, may you poll it again?
//
// `docs/streams.md`, "A stream of your own" and "How a stream ends".
#![allow(unused, reason = "you will use them")]

use futures::{Async, Poll, Stream, try_ready};

fn main() {}

/// The numbers of `S` that are larger than all numbers before them.
///
/// After its end, it returns `None` again, and does not poll `S` any more.
struct Rising<S> {
    // TODO: change the fields as you need it.
    inner: S,
    highest: Option<u64>,
}

impl<S: Stream<Item = u64>> Rising<S> {
    fn new(inner: S) -> Rising<S> {
        Rising {
            inner,
            highest: None,
        }
    }
}

impl<S: Stream<Item = u64>> Stream for Rising<S> {
    type Item = u64;
    type Error = S::Error;

    fn poll(&mut self) -> Poll<Option<u64>, S::Error> {
        todo!()
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
