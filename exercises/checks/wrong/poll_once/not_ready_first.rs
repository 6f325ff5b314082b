//! Fails: the_first_poll_returns_the_item: the result is there already

use futures::{Async, Future, Poll, task};

fn main() {}

/// A future that resolves at its first poll. The result is `None` from then on.
struct Immediately<T, E>(Option<Result<T, E>>);

impl<T, E> Future for Immediately<T, E> {
    type Item = T;
    type Error = E;

    fn poll(&mut self) -> Poll<T, E> {
        let result = self.0.take().expect("polled after it has resolved");
        task::current().notify();
        drop(result);
        Ok(Async::NotReady)
    }
}
