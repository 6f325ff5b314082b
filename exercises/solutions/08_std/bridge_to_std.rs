// To the future below, the bridge is an executor. But when it is notified, it does not poll: it wakes
// the executor above. A new `Wake` at each poll holds the newest waker, because the std future may
// have moved to another task since the last one.

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
        self.0.wake_by_ref();
    }
}

impl<F: futures::Future> Future for Bridge<F> {
    type Output = Result<F::Item, F::Error>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let wake = Arc::new(Wake(cx.waker().clone()));
        match self.0.poll_future_notify(&wake, 0) {
            Ok(Async::Ready(item)) => Poll::Ready(Ok(item)),
            Ok(Async::NotReady) => Poll::Pending,
            Err(error) => Poll::Ready(Err(error)),
        }
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
