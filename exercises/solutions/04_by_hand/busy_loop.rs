// There are two reasons to return NotReady here. After a batch the future could do more, so it
// wakes its own task: it yields. While it waits for a reply, it has nothing to do, and that reply
// wakes the task. The `break` led from the second case to the line of the first.

use std::collections::VecDeque;

use futures::{Async, Future, Poll, task};

fn main() {}

/// The number of replies that one poll takes.
const BATCH: usize = 16;

/// Adds up the lengths of the values of its futures.
struct TotalLength<F> {
    replies: VecDeque<F>,
    total: usize,
}

fn total_length<F>(replies: VecDeque<F>) -> TotalLength<F> {
    TotalLength { replies, total: 0 }
}

impl<F: Future<Item = String>> Future for TotalLength<F> {
    type Item = usize;
    type Error = F::Error;

    fn poll(&mut self) -> Poll<usize, F::Error> {
        for _ in 0..BATCH {
            let Some(reply) = self.replies.front_mut() else {
                return Ok(Async::Ready(self.total));
            };
            match reply.poll()? {
                Async::Ready(value) => self.total += value.len(),
                // The reply has promised the wake-up.
                Async::NotReady => return Ok(Async::NotReady),
            }
            self.replies.pop_front();
        }
        // Enough for one poll. The other tasks come first, and then this one continues. No reply
        // has promised a wake-up, so this is needed.
        task::current().notify();
        Ok(Async::NotReady)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;

    use futures::sync::oneshot;
    use futures::{Async, future};
    use support::{Task, within_time};

    #[test]
    fn a_future_that_waits_is_not_woken_without_a_reason() {
        within_time(|| {
            let (senders, replies): (Vec<_>, VecDeque<_>) =
                (0..2).map(|_| oneshot::channel()).unzip();
            let mut task = Task::new(total_length(replies));
            for (before, sender) in senders.into_iter().enumerate() {
                task.expect_not_ready();
                assert_eq!(
                    task.wakes(),
                    before,
                    "the task was woken although nothing has happened: which line calls `notify`?"
                );
                sender.send("value".to_owned()).unwrap();
                assert_eq!(task.wakes(), before + 1, "the reply wakes the task");
            }
            assert_eq!(task.poll(), Ok(Async::Ready(10)));
        });
    }

    #[test]
    fn after_a_batch_the_task_is_woken_to_continue() {
        within_time(|| {
            let taken = Rc::new(Cell::new(0));
            let reply = || {
                let taken = Rc::clone(&taken);
                future::lazy(move || {
                    taken.set(taken.get() + 1);
                    Ok::<_, ()>("value".to_owned())
                })
            };
            let replies = (0..40).map(|_| reply()).collect();
            let mut task = Task::new(total_length(replies));
            for batch in 1..=2 {
                let result = task.poll();
                assert_eq!(
                    taken.get(),
                    batch * BATCH,
                    "the other tasks have to wait for one poll that takes everything"
                );
                assert_eq!(result, Ok(Async::NotReady));
                assert_eq!(
                    task.wakes(),
                    batch,
                    "there are replies left, but nothing wakes the task to take them"
                );
            }
            assert_eq!(task.poll(), Ok(Async::Ready(200)));
        });
    }
}
