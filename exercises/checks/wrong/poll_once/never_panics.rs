//! Fails: a_second_poll_panics: there is no right answer to a second poll

use futures::{Async, Future, Poll};

fn main() {}

/// A future that resolves at its first poll. The result is `None` from then on.
struct Immediately<T, E>(Option<Result<T, E>>);

impl<T, E> Future for Immediately<T, E> {
    type Item = T;
    type Error = E;

    fn poll(&mut self) -> Poll<T, E> {
        match self.0.take() {
            Some(result) => result.map(Async::Ready),
            None => Ok(Async::NotReady),
        }
    }
}
