//! Fails: a_wake_up_crosses_the_bridge: no wake-up came

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::Async;
use futures::executor::{self, Notify, Spawn};

fn main() {}

/// A future of 0.1 as a std future.
struct Bridge<F>(Spawn<F>);

fn bridge<F: futures::Future>(future: F) -> Bridge<F> {
    Bridge(executor::spawn(future))
}

/// A future of 0.1 may move between two polls.
impl<F> Unpin for Bridge<F> {}

/// Wakes the task above the bridge when the future below is notified.
struct Wake;

impl Notify for Wake {
    fn notify(&self, _id: usize) {}
}

impl<F: futures::Future> Future for Bridge<F> {
    type Output = Result<F::Item, F::Error>;

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<Self::Output> {
        let wake = Arc::new(Wake);
        match self.0.poll_future_notify(&wake, 0) {
            Ok(Async::Ready(item)) => Poll::Ready(Ok(item)),
            Ok(Async::NotReady) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}
