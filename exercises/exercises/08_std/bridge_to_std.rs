// You have a future of 0.1, and want to await it without `compat`. The bridge is a `Spawn`, the outer
// edge of a task of 0.1. It makes two translations: a result on the way out of `poll`, and later a
// wake-up, from the task of 0.1 below it to the waker of the std task above it.
//
// Write both methods. `poll_future_notify` of the `Spawn` polls the future below, in a task that
// notifies what you pass: an `Arc` of a `Notify`, and a number for executors with many tasks. Pass 0.
//
// docs/leaving-futures-0.1.md, "The bridge". Try it before you look at the code there.

#![allow(unused, reason = "you write the code that uses them")]

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

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
struct Wake(Waker);

impl Notify for Wake {
    fn notify(&self, _id: usize) {
        // TODO: whom does the future below wake?
        todo!()
    }
}

impl<F: futures::Future> Future for Bridge<F> {
    type Output = Result<F::Item, F::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // TODO: poll `self.0`, and translate the answer.
        todo!()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future;
    use futures::sync::oneshot;
    use futures03::executor::block_on;
    use kvs::client::anon::KvsClient;
    use support::{StdTask, serve, within_time};

    #[test]
    fn values_and_errors_cross_the_bridge() {
        within_time(|| {
            let task = StdTask::new();
            let mut seven = bridge(future::ok::<u32, String>(7));
            let output = task.poll(Pin::new(&mut seven));
            assert_eq!(output, Poll::Ready(Ok(7)), "the item of 0.1");
            let mut failed = bridge(future::err::<u32, _>("no".to_owned()));
            let output = task.poll(Pin::new(&mut failed));
            assert_eq!(
                output,
                Poll::Ready(Err("no".to_owned())),
                "the error of 0.1"
            );
        });
    }

    #[test]
    fn a_wake_up_crosses_the_bridge() {
        within_time(|| {
            let (sender, receiver) = oneshot::channel();
            let (mut receiver, task) = (bridge(receiver), StdTask::new());
            let output = task.poll(Pin::new(&mut receiver));
            assert_eq!(output, Poll::Pending, "nothing was sent");
            assert_eq!(task.wakes(), 0, "woken although nothing has happened");
            sender.send(7).unwrap();
            assert_eq!(
                task.wakes(),
                1,
                "no wake-up came: the future of 0.1 notified its task, and that has to wake the std \
                 task that polls the bridge"
            );
            let output = task.poll(Pin::new(&mut receiver));
            assert_eq!(output, Poll::Ready(Ok(7)), "the value that was sent");
        });
    }

    #[test]
    fn the_std_task_of_the_last_poll_is_woken() {
        within_time(|| {
            let (sender, receiver) = oneshot::channel();
            let mut receiver = bridge(receiver);
            let (first, second) = (StdTask::new(), StdTask::new());
            for task in [&first, &second] {
                let output = task.poll(Pin::new(&mut receiver));
                assert_eq!(output, Poll::Pending, "nothing was sent");
                assert_eq!(task.wakes(), 0, "woken although nothing has happened");
            }
            sender.send(7).unwrap();
            assert_eq!(
                second.wakes(),
                1,
                "the second task polled last, and was not woken: does the bridge keep an old waker?"
            );
            assert_eq!(first.wakes(), 0, "only the last task waits");
        });
    }

    #[test]
    fn the_client_crosses_the_bridge() {
        within_time(|| {
            let (_dir, server) = serve();
            let value = block_on(async {
                let mut client = bridge(KvsClient::connect(server.addr)).await?;
                bridge(client.set("k".to_owned(), "v".to_owned())).await?;
                bridge(client.get("k".to_owned())).await
            });
            assert_eq!(value.unwrap().as_deref(), Some("v"), "the value of `k`");
        });
    }
}
