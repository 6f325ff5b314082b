//! Fails: it_may_move_to_another_task_between_two_polls: does the bridge keep an old task?

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Context, Wake, Waker};

use futures::task::Task;
use futures::{Async, Poll};

fn main() {}

/// A std future of a `Result` as a future of 0.1.
struct Old<F>(Pin<Box<F>>, Option<Waker>);

fn old<F>(future: F) -> Old<F> {
    Old(Box::pin(future), None)
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
        let waker = self
            .1
            .get_or_insert_with(|| Arc::new(Notifies(futures::task::current())).into());
        match self.0.as_mut().poll(&mut Context::from_waker(waker)) {
            task::Poll::Ready(result) => result.map(Async::Ready),
            task::Poll::Pending => Ok(Async::NotReady),
        }
    }
}
