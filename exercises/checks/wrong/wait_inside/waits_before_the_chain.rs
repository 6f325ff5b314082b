//! Fails: a_value_is_copied: a deadlock: the only thread of the runtime sleeps in a `wait`

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Copies the value of `from` to the key `to`. Fails with `KeyNotFound` if `from` does not exist.
fn copy(
    mut client: KvsClient,
    from: String,
    to: String,
) -> impl Future<Item = (), Error = KvsError> + Send {
    let value = client.get(from).wait();
    let value = value.and_then(|value| value.ok_or(KvsError::KeyNotFound));
    future::result(value).and_then(move |value| client.set(to, value))
}
