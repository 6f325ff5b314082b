// Each poll polls both slots, before it decides anything: a future that is not polled has no `Task`
// to wake. A slot whose future is done keeps the item, and is not polled again. So `NotReady` is
// returned only after each pending future has returned it in this call.

use std::mem;

use futures::{Async, Future, Poll};

fn main() {}

enum Slot<F: Future> {
    Pending(F),
    Done(F::Item),
    Gone,
}

impl<F: Future> Slot<F> {
    /// Polls the future if it is pending, and keeps its item. Returns whether the item is here.
    fn poll(&mut self) -> Result<bool, F::Error> {
        match self {
            Slot::Pending(future) => match future.poll()? {
                Async::Ready(item) => {
                    *self = Slot::Done(item);
                    Ok(true)
                }
                Async::NotReady => Ok(false),
            },
            Slot::Done(_) => Ok(true),
            Slot::Gone => panic!("polled after completion"),
        }
    }

    /// Takes the item out, which is possible once.
    fn take(&mut self) -> F::Item {
        match mem::replace(self, Slot::Gone) {
            Slot::Done(item) => item,
            Slot::Pending(_) | Slot::Gone => unreachable!("`poll` has found the item"),
        }
    }
}

/// Resolves to the items of both futures.
struct Both<A: Future, B: Future> {
    a: Slot<A>,
    b: Slot<B>,
}

fn both<A: Future, B: Future>(a: A, b: B) -> Both<A, B> {
    Both {
        a: Slot::Pending(a),
        b: Slot::Pending(b),
    }
}

impl<A, B> Future for Both<A, B>
where
    A: Future,
    B: Future<Error = A::Error>,
{
    type Item = (A::Item, B::Item);
    type Error = A::Error;

    fn poll(&mut self) -> Poll<(A::Item, B::Item), A::Error> {
        // Two lines, and not `self.a.poll()? && self.b.poll()?`: `&&` would skip the second slot
        // while the first is pending.
        let a_is_here = self.a.poll()?;
        let b_is_here = self.b.poll()?;
        if a_is_here && b_is_here {
            return Ok(Async::Ready((self.a.take(), self.b.take())));
        }
        Ok(Async::NotReady)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    use futures::sync::oneshot::{self, Canceled};
    use futures::{Async, future};
    use kvs::client::manual::KvsClient;
    use support::{Task, serve, within_time};

    /// A future that is ready at once, and must not be polled again.
    fn once<T>(item: T) -> impl Future<Item = T, Error = Canceled> {
        let mut item = Some(item);
        future::poll_fn(move || {
            let item = item.take();
            let item = item.expect("a future was polled after its end: keep its item in the slot");
            Ok(Async::Ready(item))
        })
    }

    /// Polls until the future is ready, woken or not. The other tests count the wake-ups.
    fn finish<F: Future>(future: F) -> Result<F::Item, F::Error> {
        let mut task = Task::new(future);
        loop {
            if let Async::Ready(item) = task.poll()? {
                return Ok(item);
            }
            thread::yield_now();
        }
    }

    #[test]
    fn both_may_be_ready_at_once() {
        within_time(|| {
            let mut task = Task::new(both(once(1), once("two")));
            assert_eq!(task.poll(), Ok(Async::Ready((1, "two"))));
        });
    }

    #[test]
    fn the_first_poll_polls_both() {
        within_time(|| {
            let (_a_sender, a) = oneshot::channel::<()>();
            let (b_sender, b) = oneshot::channel();
            let mut task = Task::new(both(a, b));
            task.expect_not_ready();
            b_sender.send(()).unwrap();
            assert_eq!(
                task.wakes(),
                1,
                "the second future was not polled, so it cannot wake the task: poll all that you \
                 wait for"
            );
            task.expect_not_ready();
        });
    }

    #[test]
    fn the_item_of_the_first_is_kept() {
        within_time(|| {
            let (sender, b) = oneshot::channel();
            let mut task = Task::new(both(once(1), b));
            task.expect_not_ready();
            task.expect_not_ready();
            assert_eq!(
                task.wakes(),
                0,
                "nothing has happened, and the task is woken"
            );
            sender.send("two").unwrap();
            assert_eq!(task.poll(), Ok(Async::Ready((1, "two"))));
        });
    }

    #[test]
    fn the_item_of_the_second_is_kept() {
        within_time(|| {
            let (sender, a) = oneshot::channel();
            let mut task = Task::new(both(a, once("two")));
            task.expect_not_ready();
            task.expect_not_ready();
            assert_eq!(
                task.wakes(),
                0,
                "nothing has happened, and the task is woken"
            );
            sender.send(1).unwrap();
            assert_eq!(task.poll(), Ok(Async::Ready((1, "two"))));
        });
    }

    #[test]
    fn an_error_of_either_one_ends_both() {
        within_time(|| {
            let (_sender, pending) = oneshot::channel::<()>();
            let failed = future::err::<(), _>(Canceled);
            let mut task = Task::new(both(pending, failed));
            assert_eq!(task.poll(), Err(Canceled), "the second has failed");

            let (_sender, pending) = oneshot::channel::<()>();
            let failed = future::err::<(), _>(Canceled);
            let mut task = Task::new(both(failed, pending));
            assert_eq!(task.poll(), Err(Canceled), "the first has failed");
        });
    }

    #[test]
    fn two_requests_at_once() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let set = client.set("a".to_owned(), "1".to_owned());
            let get = client.get("b".to_owned());
            let items = finish(both(set, get)).unwrap();
            assert_eq!(items, ((), None), "the items of `set` and `get`");
        });
    }
}
