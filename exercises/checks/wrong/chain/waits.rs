//! Fails: nothing_is_copied_before_the_first_poll: dropped before its first poll

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Stores the value of the key `from` under the key `to`, too. If the key `from` does not exist,
/// stores an empty value. Resolves to the length of the value.
fn copy(
    mut client: KvsClient,
    from: String,
    to: String,
) -> impl Future<Item = usize, Error = KvsError> {
    let value = client.get(from).wait().unwrap().unwrap_or_default();
    let length = value.len();
    client.set(to, value).wait().unwrap();
    future::ok(length)
}
