//! Fails: after_a_batch_the_task_is_woken_to_continue: nothing wakes the task to take them

use std::collections::VecDeque;

use futures::{Async, Future, Poll};

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
                Async::NotReady => break,
            }
            self.replies.pop_front();
        }
        Ok(Async::NotReady)
    }
}

