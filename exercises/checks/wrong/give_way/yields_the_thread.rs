//! Fails: a_poll_adds_a_part_of_the_numbers: the other tasks starve meanwhile
#![allow(unused, reason = "as in the starter")]

use std::convert::Infallible;
use std::thread;

use futures::{Async, Future, Poll};

fn main() {}

const STEPS: usize = 100;

struct Sum<I> {
    numbers: I,
    sum: u64,
}

impl<I: Iterator<Item = u64>> Future for Sum<I> {
    type Item = u64;
    type Error = Infallible;

    fn poll(&mut self) -> Poll<u64, Infallible> {
        for (n, number) in (&mut self.numbers).enumerate() {
            self.sum += number;
            if n % STEPS == STEPS - 1 {
                thread::yield_now(); // to other threads, but not to other tasks
            }
        }
        Ok(Async::Ready(self.sum))
    }
}
