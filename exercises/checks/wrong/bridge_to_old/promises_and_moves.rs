//! Fails: it_may_move_to_another_task_between_two_polls: the block was moved between two polls

#![allow(unused, reason = "you write the code that uses them")]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Context, Wake};

use futures::task::Task;
use futures::{Async, Poll};

fn main() {}

/// A std future of a `Result` as a future of 0.1.
// TODO: how does the struct own the future, so that the struct may move?
struct Old<F>(F);

fn old<F>(future: F) -> Old<F> {
    Old(future)
}

/// Notifies the task of 0.1 above the bridge when the std future below wakes its waker.
struct Notifies(Task);

impl Wake for Notifies {
    fn wake(self: Arc<Self>) {
        self.0.notify();
    }
}

impl<T, E, F> futures::Future for Old<F>
where
    F: Future<Output = Result<T, E>>,
{
    type Item = T;
    type Error = E;

    fn poll(&mut self) -> Poll<T, E> {
        let waker = Arc::new(Notifies(futures::task::current())).into();
        match unsafe { Pin::new_unchecked(&mut self.0) }.poll(&mut Context::from_waker(&waker)) {
            task::Poll::Ready(Ok(item)) => Ok(Async::Ready(item)),
            task::Poll::Ready(Err(error)) => Err(error),
            task::Poll::Pending => Ok(Async::NotReady),
        }
    }
}
