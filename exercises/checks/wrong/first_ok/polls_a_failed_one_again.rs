//! Fails: a_failed_future_is_removed: the request for `1` has completed, and is polled again

use futures::{Async, Future, Poll, try_ready};
use kvs::client::anon::KvsClient;

fn main() {}

struct FirstOk<F>(Vec<F>);

impl<F: Future> Future for FirstOk<F> {
    type Item = F::Item;
    type Error = F::Error;

    fn poll(&mut self) -> Poll<F::Item, F::Error> {
        let mut errors = 0;
        let count = self.0.len();
        for future in &mut self.0 {
            match future.poll() {
                Ok(Async::Ready(item)) => return Ok(Async::Ready(item)),
                Ok(Async::NotReady) => {}
                Err(error) => {
                    errors += 1;
                    if errors == count {
                        return Err(error);
                    }
                }
            }
        }
        Ok(Async::NotReady)
    }
}
