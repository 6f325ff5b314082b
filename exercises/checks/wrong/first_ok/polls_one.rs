//! Fails: the_first_item_wins: request 1 is ready, and no wake-up came

use futures::{Async, Future, Poll, try_ready};
use kvs::client::anon::KvsClient;

fn main() {}

struct FirstOk<F>(Vec<F>);

impl<F: Future> Future for FirstOk<F> {
    type Item = F::Item;
    type Error = F::Error;

    fn poll(&mut self) -> Poll<F::Item, F::Error> {
        loop {
            match self.0[0].poll() {
                Ok(Async::Ready(item)) => return Ok(Async::Ready(item)),
                Ok(Async::NotReady) => return Ok(Async::NotReady),
                Err(error) => {
                    self.0.remove(0);
                    if self.0.is_empty() {
                        return Err(error);
                    }
                }
            }
        }
    }
}
