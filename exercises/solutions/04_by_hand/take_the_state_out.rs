// `mem::replace` moves the state out from behind the reference, because it leaves another value in
// its place. From there on the chain is `Done`, so each `NotReady` has to put the state back. An
// error needs no code: `?` leaves the function, and what we took out is dropped.
//
// `try_ready!` would be wrong here: it returns before the state is back in its place.

use std::mem;

use futures::{Async, Future, Poll};

fn main() {}

/// A future, and then the future that a function makes of its item.
enum Chain<A, F, B> {
    First { first: A, next: F },
    Second { second: B },
    Done,
}

fn chain<A, F, B>(first: A, next: F) -> Chain<A, F, B>
where
    A: Future,
    F: FnOnce(A::Item) -> B,
{
    Chain::First { first, next }
}

impl<A, F, B> Future for Chain<A, F, B>
where
    A: Future,
    F: FnOnce(A::Item) -> B,
    B: Future<Error = A::Error>,
{
    type Item = B::Item;
    type Error = B::Error;

    fn poll(&mut self) -> Poll<B::Item, B::Error> {
        loop {
            match mem::replace(self, Chain::Done) {
                Chain::First { mut first, next } => match first.poll()? {
                    // The new future was never polled, so nothing would wake the task for it yet.
                    // The loop polls it in this call.
                    Async::Ready(item) => *self = Chain::Second { second: next(item) },
                    Async::NotReady => {
                        *self = Chain::First { first, next };
                        return Ok(Async::NotReady);
                    }
                },
                Chain::Second { mut second } => {
                    let result = second.poll()?;
                    if !result.is_ready() {
                        *self = Chain::Second { second };
                    }
                    return Ok(result);
                }
                Chain::Done => panic!("polled after completion"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;

    use futures::future::FutureResult;
    use futures::sync::oneshot::{self, Canceled};
    use futures::{Async, future};
    use kvs::client::manual::KvsClient;
    use support::{Task, serve, within_time};

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
    fn the_second_future_is_made_of_the_item_of_the_first() {
        within_time(|| {
            let chain = chain(future::ok::<_, ()>(20), |n| future::ok(n + 1));
            assert_eq!(
                Task::new(chain).poll(),
                Ok(Async::Ready(21)),
                "both futures are ready, so one poll is enough"
            );
        });
    }

    #[test]
    fn a_future_that_is_not_ready_keeps_its_state() {
        within_time(|| {
            let (first_sender, first) = oneshot::channel();
            let (second_sender, second) = oneshot::channel();
            let mut task = Task::new(chain(first, |()| second));
            task.expect_not_ready();
            assert!(
                !first_sender.is_canceled(),
                "`poll` returned NotReady and dropped the first future: put the state back"
            );
            task.expect_not_ready();
            assert_eq!(
                task.wakes(),
                0,
                "nothing has happened, and the task is woken"
            );
            first_sender.send(()).unwrap();
            task.expect_not_ready();
            assert!(
                !second_sender.is_canceled(),
                "`poll` returned NotReady and dropped the second future: put the state back"
            );
            let before = task.wakes();
            second_sender.send("value").unwrap();
            assert!(
                task.wakes() > before,
                "no wake-up came: nothing has polled the second future yet"
            );
            assert_eq!(task.poll(), Ok(Async::Ready("value")));
        });
    }

    #[test]
    fn after_an_error_there_is_no_second_future() {
        within_time(|| {
            let never = |()| -> FutureResult<(), Canceled> {
                panic!("the first future has failed, so there is no item for the function")
            };
            let mut task = Task::new(chain(future::err(Canceled), never));
            assert_eq!(task.poll(), Err(Canceled));
        });
    }

    #[test]
    fn a_connection_and_then_a_request() {
        within_time(|| {
            let (_dir, server) = serve();
            let get = |mut client: KvsClient| client.get("key".to_owned());
            let value = finish(chain(KvsClient::connect(server.addr), get));
            assert_eq!(value.unwrap(), None, "the value on the server");
        });
    }
}
