//! Fails: the_second_step_is_polled_as_soon_as_the_first_is_done: no wake-up came

use futures::{Future, Poll, try_ready};

fn main() {}

/// Runs `first`, and then resolves to the item of `second`.
struct TwoSteps<A, B> {
    /// `None` after the first step. This is the state of the machine.
    first: Option<A>,
    second: B,
}

impl<A, B> TwoSteps<A, B> {
    fn new(first: A, second: B) -> TwoSteps<A, B> {
        TwoSteps {
            first: Some(first),
            second,
        }
    }
}

impl<A, B> Future for TwoSteps<A, B>
where
    A: Future,
    B: Future<Error = A::Error>,
{
    type Item = B::Item;
    type Error = B::Error;

    fn poll(&mut self) -> Poll<B::Item, B::Error> {
        match &mut self.first {
            Some(first) => {
                try_ready!(first.poll());
                self.first = None;
                Ok(futures::Async::NotReady)
            }
            None => self.second.poll(),
        }
    }
}

