//! Fails: an_error_does_not_hide_the_others: poll the others in the same call

use futures::{Async, Future, Poll, try_ready};
use kvs::client::anon::KvsClient;

fn main() {}

struct FirstOk<F>(Vec<F>);

impl<F: Future> Future for FirstOk<F> {
    type Item = F::Item;
    type Error = F::Error;

    fn poll(&mut self) -> Poll<F::Item, F::Error> {
        let mut n = 0;
        while n < self.0.len() {
            match self.0[n].poll() {
                Ok(Async::Ready(item)) => return Ok(Async::Ready(item)),
                Ok(Async::NotReady) => {}
                Err(error) => {
                    self.0.remove(n);
                    if self.0.is_empty() {
                        return Err(error);
                    }
                }
            }
            n += 1;
        }
        Ok(Async::NotReady)
    }
}
