//! Fails: after_a_batch_the_task_is_woken_to_continue: one poll that takes everything

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
        while let Some(reply) = self.replies.front_mut() {
            self.total += futures::try_ready!(reply.poll()).len();
            self.replies.pop_front();
        }
        Ok(Async::Ready(self.total))
    }
}

