//! Fails: only_numbers_that_count_up_are_left: if you leave the number out, poll again

use futures::stream::Fuse;
use futures::{Async, Poll, Stream, try_ready};

fn main() {}

struct Rising<S> {
    inner: Fuse<S>,
    highest: Option<u64>,
}

impl<S: Stream<Item = u64>> Rising<S> {
    fn new(inner: S) -> Rising<S> {
        Rising {
            inner: inner.fuse(),
            highest: None,
        }
    }
}

impl<S: Stream<Item = u64>> Stream for Rising<S> {
    type Item = u64;
    type Error = S::Error;

    fn poll(&mut self) -> Poll<Option<u64>, S::Error> {
        match try_ready!(self.inner.poll()) {
            Some(n) if Some(n) > self.highest => {
                self.highest = Some(n);
                Ok(Async::Ready(Some(n)))
            }
            Some(_) => Ok(Async::NotReady),
            None => Ok(Async::Ready(None)),
        }
    }
}
