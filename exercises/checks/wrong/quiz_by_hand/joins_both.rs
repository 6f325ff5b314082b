//! Fails: a_missing_letter_is_not_removed: there is no letter, and no error

use futures::future::Join;
use futures::{Async, Future, Poll, try_ready};
use kvs::KvsError;
use kvs::client::manual::{ClientGetFuture, ClientRemoveFuture, KvsClient};

fn main() {}

#[must_use = "futures do nothing unless polled"]
struct TakeFuture(Join<ClientGetFuture, ClientRemoveFuture>);

fn take(client: &KvsClient, key: &str) -> TakeFuture {
    let mut client = client.clone();
    let got = client.get(key.to_owned());
    TakeFuture(got.join(client.remove(key.to_owned())))
}

impl Future for TakeFuture {
    type Item = Option<String>;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<Option<String>, KvsError> {
        let (value, ()) = try_ready!(self.0.poll());
        Ok(Async::Ready(value))
    }
}
