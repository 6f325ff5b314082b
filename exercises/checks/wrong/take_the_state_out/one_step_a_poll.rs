//! Fails: a_future_that_is_not_ready_keeps_its_state: nothing has polled the second future yet

use std::mem;

use futures::{Async, Future, Poll};

fn main() {}

/// A future, and then the future that a function makes of its item.
enum Chain<A, F, B> {
    First { first: A, next: F },
    Second { second: B },
    Done,
}

fn chain<A, F, B>(first: A, next: F) -> Chain<A, F, B>
where
    A: Future,
    F: FnOnce(A::Item) -> B,
{
    Chain::First { first, next }
}

impl<A, F, B> Future for Chain<A, F, B>
where
    A: Future,
    F: FnOnce(A::Item) -> B,
    B: Future<Error = A::Error>,
{
    type Item = B::Item;
    type Error = B::Error;

    fn poll(&mut self) -> Poll<B::Item, B::Error> {
        {
            match mem::replace(self, Chain::Done) {
                Chain::First { mut first, next } => match first.poll()? {
                    Async::Ready(item) => {
                        *self = Chain::Second { second: next(item) };
                        return Ok(Async::NotReady);
                    }
                    Async::NotReady => {
                        *self = Chain::First { first, next };
                        return Ok(Async::NotReady);
                    }
                },
                Chain::Second { mut second } => {
                    let result = second.poll()?;
                    if !result.is_ready() {
                        *self = Chain::Second { second };
                    }
                    return Ok(result);
                }
                Chain::Done => panic!("polled after completion"),
            }
        }
    }
}

