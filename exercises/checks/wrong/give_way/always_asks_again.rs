//! Fails: a_short_sum_needs_one_poll: woken although the sum is ready
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
        task::current().notify();
        for _ in 0..STEPS {
            let Some(number) = self.numbers.next() else {
                return Ok(Async::Ready(self.sum));
            };
            self.sum += number;
        }
        Ok(Async::NotReady)
    }
}
