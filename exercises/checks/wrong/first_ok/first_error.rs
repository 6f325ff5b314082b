//! Fails: a_failed_future_is_removed: one has failed, and two may still succeed

use futures::{Async, Future, Poll, try_ready};
use kvs::client::anon::KvsClient;

fn main() {}

struct FirstOk<F>(Vec<F>);

impl<F: Future> Future for FirstOk<F> {
    type Item = F::Item;
    type Error = F::Error;

    fn poll(&mut self) -> Poll<F::Item, F::Error> {
        for future in &mut self.0 {
            if let Async::Ready(item) = future.poll()? {
                return Ok(Async::Ready(item));
            }
        }
        Ok(Async::NotReady)
    }
}
