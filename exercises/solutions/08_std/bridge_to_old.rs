// The pointer moves with the struct, and the block stays in its box. That is why `.boxed()` comes
// before `.compat()` in this direction, and only in this one. `task::current()` is the task of this
// poll, so each poll makes a new waker.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Context, Wake};

use futures::task::Task;
use futures::{Async, Poll};

fn main() {}

/// A std future of a `Result` as a future of 0.1.
struct Old<F>(Pin<Box<F>>);

fn old<F>(future: F) -> Old<F> {
    Old(Box::pin(future))
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
        match self.0.as_mut().poll(&mut Context::from_waker(&waker)) {
            task::Poll::Ready(result) => result.map(Async::Ready),
            task::Poll::Pending => Ok(Async::NotReady),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::Future as _;
    use futures03::channel::oneshot;
    use futures03::executor::block_on;
    use kvs::client::awaited::KvsClient;
    use std::ptr;
    use support::{Task, serve, within_time};

    #[test]
    fn values_and_errors_cross_the_bridge() {
        within_time(|| {
            let seven = old(async { Ok::<u32, String>(6 + 1) });
            assert_eq!(seven.wait(), Ok(7), "the value of the block");
            let failed = old(async { Err::<u32, _>("no".to_owned()) });
            assert_eq!(
                failed.wait(),
                Err("no".to_owned()),
                "the error of the block"
            );
        });
    }

    #[test]
    fn a_wake_up_crosses_the_bridge() {
        within_time(|| {
            let (sender, receiver) = oneshot::channel();
            let mut task = Task::new(old(async { Ok::<u32, ()>(receiver.await.unwrap()) }));
            task.expect_not_ready();
            assert_eq!(task.wakes(), 0, "woken although nothing has happened");
            sender.send(7).unwrap();
            assert_eq!(
                task.wakes(),
                1,
                "no wake-up came: the std future woke its waker, and that has to notify the task of \
                 0.1 that polls the bridge"
            );
            assert_eq!(task.poll(), Ok(Async::Ready(7)), "the value that was sent");
        });
    }

    #[test]
    fn it_may_move_to_another_task_between_two_polls() {
        within_time(|| {
            let (sender, receiver) = oneshot::channel();
            let mut received = old(async {
                let local = 0;
                let place = ptr::from_ref(&local).addr();
                let value = receiver.await.unwrap();
                assert_eq!(
                    ptr::from_ref(&local).addr(),
                    place,
                    "the block was moved between two polls: the bridge may move, and the block must \
                     stay"
                );
                Ok::<u32, ()>(value)
            });
            let mut first = Task::new(futures::future::poll_fn(|| received.poll()));
            first.expect_not_ready();
            let first_wakes = first.wakes();
            drop(first);
            let mut second = Task::new(Box::new(received));
            second.expect_not_ready();
            sender.send(7).unwrap();
            assert_eq!(first_wakes, 0, "woken although nothing has happened");
            assert_eq!(
                second.wakes(),
                1,
                "the second task polled last, and was not woken: does the bridge keep an old task?"
            );
            assert_eq!(
                second.poll(),
                Ok(Async::Ready(7)),
                "the value that was sent"
            );
        });
    }

    #[test]
    fn the_client_crosses_the_bridge() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = block_on(KvsClient::connect(server.addr)).unwrap();
            let set = old(async move {
                client.set("k".to_owned(), "v".to_owned()).await?;
                Ok(client)
            });
            let get =
                set.and_then(|mut client| old(async move { client.get("k".to_owned()).await }));
            assert_eq!(
                get.wait().unwrap().as_deref(),
                Some("v"),
                "the value of `k`"
            );
        });
    }
}
