//! Fails: the_second_step_waits_for_the_first: the second step began before the first was done

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
        if let Some(first) = &mut self.first
            && first.poll()?.is_ready()
        {
            self.first = None;
        }
        let item = try_ready!(self.second.poll());
        if self.first.is_some() {
            return Ok(futures::Async::NotReady);
        }
        Ok(futures::Async::Ready(item))
    }
}

