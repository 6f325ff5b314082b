// The `if let` stored the next future, and returned NotReady without polling it. A future that was
// never polled has no `Task`, so nothing woke the task when its reply came. The `while let`
// continues with the next future in the same call. Now `try_ready!` is the only way to NotReady,
// and it returns the NotReady of the future that we wait for.
//
// `task::current().notify()` before the NotReady would keep the contract as well, but it costs one
// poll more for each future.

use std::{mem, vec};

use futures::{Async, Future, Poll, try_ready};

fn main() {}

/// Runs futures one after the other, and resolves to their items.
struct InTurn<F: Future> {
    current: Option<F>,
    waiting: vec::IntoIter<F>,
    items: Vec<F::Item>,
}

fn in_turn<F: Future>(futures: Vec<F>) -> InTurn<F> {
    let mut waiting = futures.into_iter();
    InTurn {
        current: waiting.next(),
        waiting,
        items: Vec::new(),
    }
}

impl<F: Future> Future for InTurn<F> {
    type Item = Vec<F::Item>;
    type Error = F::Error;

    fn poll(&mut self) -> Poll<Vec<F::Item>, F::Error> {
        while let Some(current) = &mut self.current {
            let item = try_ready!(current.poll());
            self.items.push(item);
            self.current = self.waiting.next();
        }
        Ok(Async::Ready(mem::take(&mut self.items)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::sync::oneshot::{self, Canceled};
    use futures::{Async, future};
    use support::{Task, within_time};

    #[test]
    fn each_reply_wakes_the_task() {
        within_time(|| {
            let (senders, replies): (Vec<_>, Vec<_>) = (0..3).map(|_| oneshot::channel()).unzip();
            let mut task = Task::new(in_turn(replies));
            for (n, sender) in senders.into_iter().enumerate() {
                let before = task.wakes();
                task.expect_not_ready();
                sender.send(n).unwrap();
                assert!(
                    task.wakes() > before,
                    "no wake-up came for reply {n}: was its future polled before NotReady?"
                );
            }
            assert_eq!(task.poll(), Ok(Async::Ready(vec![0, 1, 2])));
        });
    }

    #[test]
    fn one_poll_goes_as_far_as_it_can() {
        within_time(|| {
            let ready = (0..3).map(future::ok::<_, ()>).collect();
            let mut task = Task::new(in_turn(ready));
            assert_eq!(
                task.poll(),
                Ok(Async::Ready(vec![0, 1, 2])),
                "all three are ready, so one poll is enough: continue with the next one at once"
            );
        });
    }

    #[test]
    fn a_future_waits_for_those_before_it() {
        within_time(|| {
            let (sender, reply) = oneshot::channel();
            let late = future::lazy(|| -> Result<(), Canceled> {
                panic!("the second began before the first was done")
            });
            let futures: Vec<Box<dyn Future<Item = (), Error = Canceled>>> =
                vec![Box::new(reply), Box::new(late)];
            let mut task = Task::new(in_turn(futures));
            task.expect_not_ready();
            drop(sender);
            assert_eq!(task.poll(), Err(Canceled));
        });
    }
}
