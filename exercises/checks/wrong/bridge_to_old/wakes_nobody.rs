//! Fails: a_wake_up_crosses_the_bridge: no wake-up came

use std::pin::Pin;
use std::task::{self, Context, Waker};

use futures::{Async, Poll};

fn main() {}

/// A std future of a `Result` as a future of 0.1.
struct Old<F>(Pin<Box<F>>);

fn old<F>(future: F) -> Old<F> {
    Old(Box::pin(future))
}

impl<T, E, F> futures::Future for Old<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Item = T;
    type Error = E;

    fn poll(&mut self) -> Poll<T, E> {
        match self
            .0
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            task::Poll::Ready(result) => result.map(Async::Ready),
            task::Poll::Pending => Ok(Async::NotReady),
        }
    }
}
