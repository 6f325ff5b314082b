//! Fails: it_is_woken_when_the_value_comes: put the state back

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
            ValueLength::WaitingForValue { mut value } => {
                let value = futures::try_ready!(value.poll());
                Ok(Async::Ready(value.len()))
            }
            ValueLength::Done => panic!("polled after completion"),
        }
    }
}

