//! Fails: the_item_of_the_first_is_kept: polled after completion

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
        self.a.poll()?;
        self.b.poll()?;
        let slots = (
            mem::replace(&mut self.a, Slot::Gone),
            mem::replace(&mut self.b, Slot::Gone),
        );
        if let (Slot::Done(a), Slot::Done(b)) = slots {
            return Ok(Async::Ready((a, b)));
        }
        Ok(Async::NotReady)
    }
}

