//! Fails: it_asks_for_the_next_poll_while_there_is_work: the future wakes its own task
#![allow(unused, reason = "as in the starter")]

use std::convert::Infallible;

use futures::{Async, Future, Poll, task};

fn main() {}

/// The numbers that one poll may add.
const STEPS: usize = 100;

/// Resolves to the sum of all numbers.
struct Sum<I> {
    numbers: I,
    sum: u64,
}

impl<I: Iterator<Item = u64>> Future for Sum<I> {
    type Item = u64;
    type Error = Infallible;

    fn poll(&mut self) -> Poll<u64, Infallible> {
        for _ in 0..STEPS {
            let Some(number) = self.numbers.next() else {
                return Ok(Async::Ready(self.sum));
            };
            self.sum += number;
        }
        Ok(Async::NotReady)
    }
}
