//! Fails: E0308

use futures::Future;
use futures::future::{AndThen, Join, Map};
use kvs::KvsError;
use kvs::client::connection::{Receiving, Sending};
use kvs::client::explicit::KvsClient;
use kvs::protocol::Response;

fn main() {}

/// The future of `KvsClient::get`.
type Get = AndThen<
    Join<Sending, Receiving>,
    Result<Option<String>, KvsError>,
    fn(((), Response)) -> Result<Option<String>, KvsError>,
>;

/// Resolves to the length of the value of `key` in bytes, or to `None` if there is no such key.
fn length(client: &mut KvsClient, key: String) -> Map<Get, fn(Option<String>) -> Option<usize>> {
    let length = client.get(key).map(|value| value.map(|value| value.len()));
    length
}
