//! Fails: the_next_attempt_is_polled_in_the_same_call: the request for `get` has completed, and is polled again

use futures::{Async, Future, Poll};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {
    let connect = || KvsClient::connect(([127, 0, 0, 1], 4000).into());
    match retry(3, connect).wait() {
        Ok(_client) => println!("connected"),
        Err(error) => println!("three attempts, and: {error}"),
    }
}

/// Makes at most `attempts` attempts. `start` makes the future of each.
fn retry<S: FnMut() -> F, F: Future<Error = KvsError>>(attempts: u32, mut start: S) -> Retry<S, F> {
    Retry {
        attempt: start(),
        start,
        left: attempts - 1,
    }
}

struct Retry<S, F> {
    start: S,
    attempt: F,
    /// How many attempts are left after this one.
    left: u32,
}

impl<S: FnMut() -> F, F: Future<Error = KvsError>> Future for Retry<S, F> {
    type Item = F::Item;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<F::Item, KvsError> {
        loop {
            match self.attempt.poll() {
                Err(KvsError::Connect { .. }) if self.left > 0 => self.left -= 1,
                result => return result,
            }
        }
    }
}
