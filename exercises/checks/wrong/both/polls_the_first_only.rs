//! Fails: the_first_poll_polls_both: poll all that you wait for

use std::mem;

use futures::{Async, Future, Poll};

fn main() {}

enum Slot<F: Future> {
    Pending(F),
    Done(F::Item),
    Gone,
}

impl<F: Future> Slot<F> {
    /// Polls the future if it is pending, and keeps its item. Returns whether the item is here.
    fn poll(&mut self) -> Result<bool, F::Error> {
        match self {
            Slot::Pending(future) => match future.poll()? {
                Async::Ready(item) => {
                    *self = Slot::Done(item);
                    Ok(true)
                }
                Async::NotReady => Ok(false),
            },
            Slot::Done(_) => Ok(true),
            Slot::Gone => panic!("polled after completion"),
        }
    }

    /// Takes the item out, which is possible once.
    fn take(&mut self) -> F::Item {
        match mem::replace(self, Slot::Gone) {
            Slot::Done(item) => item,
            Slot::Pending(_) | Slot::Gone => unreachable!("`poll` has found the item"),
        }
    }
}

/// Resolves to the items of both futures.
struct Both<A: Future, B: Future> {
    a: Slot<A>,
    b: Slot<B>,
}

fn both<A: Future, B: Future>(a: A, b: B) -> Both<A, B> {
    Both {
        a: Slot::Pending(a),
        b: Slot::Pending(b),
    }
}

impl<A, B> Future for Both<A, B>
where
    A: Future,
    B: Future<Error = A::Error>,
{
    type Item = (A::Item, B::Item);
    type Error = A::Error;

    fn poll(&mut self) -> Poll<(A::Item, B::Item), A::Error> {
        if self.a.poll()? && self.b.poll()? {
            return Ok(Async::Ready((self.a.take(), self.b.take())));
        }
        Ok(Async::NotReady)
    }
}

