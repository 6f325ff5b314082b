//! Fails: the_item_of_the_first_is_kept: a future was polled after its end

#![allow(dead_code)]

use futures::{Async, Future, Poll};

fn main() {}

enum Slot<F: Future> {
    Pending(F),
    Done(F::Item),
    Gone,
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
        let (Slot::Pending(a), Slot::Pending(b)) = (&mut self.a, &mut self.b) else {
            panic!("polled after completion");
        };
        let (a, b) = (a.poll()?, b.poll()?);
        if let (Async::Ready(a), Async::Ready(b)) = (a, b) {
            self.a = Slot::Gone;
            self.b = Slot::Gone;
            return Ok(Async::Ready((a, b)));
        }
        Ok(Async::NotReady)
    }
}

