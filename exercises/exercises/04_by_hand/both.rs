// `a.join(b)` resolves to the items of both futures, which run concurrently. Write it: `Both` has a
// slot for each of them. A slot is pending, or it keeps an item until both are there, or the item
// is gone.
//
// Poll all that you wait for in each call, keep the item that comes first, and do not poll a future
// again that is done. An error of either one is the error of both, at once. Add methods to `Slot`
// if you like. `docs/by-hand.md`, "1. NotReady is a promise", and "The same machine in a
// combinator".

#![allow(dead_code, reason = "`poll` is to be written")]

use futures::{Async, Future, Poll};

fn main() {}

enum Slot<F: Future> {
    Pending(F),
    Done(F::Item),
    Gone,
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
        // TODO: poll both slots, and take both items if they are there.
        todo!()
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
