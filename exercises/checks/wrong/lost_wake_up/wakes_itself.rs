//! Fails: one_poll_goes_as_far_as_it_can: all three are ready, so one poll is enough

use std::{mem, vec};

use futures::{Async, Future, Poll, try_ready};

fn main() {}

/// Runs futures one after the other, and resolves to their items.
struct InTurn<F: Future> {
    current: Option<F>,
    waiting: vec::IntoIter<F>,
    items: Vec<F::Item>,
}

fn in_turn<F: Future>(futures: Vec<F>) -> InTurn<F> {
    let mut waiting = futures.into_iter();
    InTurn {
        current: waiting.next(),
        waiting,
        items: Vec::new(),
    }
}

impl<F: Future> Future for InTurn<F> {
    type Item = Vec<F::Item>;
    type Error = F::Error;

    fn poll(&mut self) -> Poll<Vec<F::Item>, F::Error> {
        if let Some(current) = &mut self.current {
            let item = try_ready!(current.poll());
            self.items.push(item);
            self.current = self.waiting.next();
        }
        if self.current.is_none() {
            return Ok(Async::Ready(mem::take(&mut self.items)));
        }
        futures::task::current().notify();
        Ok(Async::NotReady)
    }
}

