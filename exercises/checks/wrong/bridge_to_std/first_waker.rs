//! Fails: the_std_task_of_the_last_poll_is_woken: does the bridge keep an old waker?

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use futures::Async;
use futures::executor::{self, Notify, Spawn};

fn main() {}

/// A future of 0.1 as a std future.
struct Bridge<F>(Spawn<F>, Option<Arc<Wake>>);

fn bridge<F: futures::Future>(future: F) -> Bridge<F> {
    Bridge(executor::spawn(future), None)
}

/// A future of 0.1 may move between two polls.
impl<F> Unpin for Bridge<F> {}

/// Wakes the task above the bridge when the future below is notified.
struct Wake(Waker);

impl Notify for Wake {
    fn notify(&self, _id: usize) {
        self.0.wake_by_ref();
    }
}

impl<F: futures::Future> Future for Bridge<F> {
    type Output = Result<F::Item, F::Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let wake = this
            .1
            .get_or_insert_with(|| Arc::new(Wake(cx.waker().clone())));
        match this.0.poll_future_notify(wake, 0) {
            Ok(Async::Ready(item)) => Poll::Ready(Ok(item)),
            Ok(Async::NotReady) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}
