// `InTurn` runs futures one after the other, and resolves to their items. With one future it works.
// With two `get`s, `wait` often sleeps forever: the replies are there, but the task is never woken.
//
// Find the bug, and mend it in one place. Which future promises the wake-up, each time that `poll`
// returns NotReady? `docs/by-hand.md`, "Stopping between two states".

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

    // TODO: find the bug.
    fn poll(&mut self) -> Poll<Vec<F::Item>, F::Error> {
        if let Some(current) = &mut self.current {
            let item = try_ready!(current.poll());
            self.items.push(item);
            self.current = self.waiting.next();
        }
        if self.current.is_none() {
            return Ok(Async::Ready(mem::take(&mut self.items)));
        }
        Ok(Async::NotReady)
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
