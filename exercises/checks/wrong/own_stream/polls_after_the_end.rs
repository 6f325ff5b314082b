//! Fails: it_ends_once: remember that it has ended

use futures::{Async, Poll, Stream, try_ready};

fn main() {}

struct Rising<S> {
    inner: S,
    highest: Option<u64>,
}

impl<S: Stream<Item = u64>> Rising<S> {
    fn new(inner: S) -> Rising<S> {
        Rising {
            inner,
            highest: None,
        }
    }
}

impl<S: Stream<Item = u64>> Stream for Rising<S> {
    type Item = u64;
    type Error = S::Error;

    fn poll(&mut self) -> Poll<Option<u64>, S::Error> {
        while let Some(n) = try_ready!(self.inner.poll()) {
            if Some(n) > self.highest {
                self.highest = Some(n);
                return Ok(Async::Ready(Some(n)));
            }
        }
        Ok(Async::Ready(None))
    }
}
