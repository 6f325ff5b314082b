//! Fails: a_second_poll_panics: there is no right answer to a second poll

use futures::{Async, Future, Poll};

fn main() {}

/// A future that resolves at its first poll. The result is `None` from then on.
struct Immediately<T, E>(Option<Result<T, E>>);

impl<T: Clone, E: Clone> Future for Immediately<T, E> {
    type Item = T;
    type Error = E;

    fn poll(&mut self) -> Poll<T, E> {
        let result = self.0.clone().expect("polled after it has resolved");
        result.map(Async::Ready)
    }
}
