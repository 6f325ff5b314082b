//! Fails: a_neighbour_runs_while_it_waits: keeps the second from running

use std::mem;

use futures::{Async, Future, Poll};

fn main() {}

/// Resolves to the length of the value that `F` resolves to.
enum ValueLength<F> {
    WaitingForValue { value: F },
    Done,
}

fn value_length<F: Future<Item = String>>(value: F) -> ValueLength<F> {
    ValueLength::WaitingForValue { value }
}

impl<F: Future<Item = String>> Future for ValueLength<F> {
    type Item = usize;
    type Error = F::Error;

    fn poll(&mut self) -> Poll<usize, F::Error> {
        match mem::replace(self, ValueLength::Done) {
            ValueLength::WaitingForValue { mut value } => loop {
                if let Async::Ready(value) = value.poll()? {
                    return Ok(Async::Ready(value.len()));
                }
                std::thread::yield_now();
            },
            ValueLength::Done => panic!("polled after completion"),
        }
    }
}

