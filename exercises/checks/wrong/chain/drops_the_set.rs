//! Fails: the_value_is_copied: is the future of `set` a step of your chain?

use futures::Future;
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
    client
        .get(from)
        .map(Option::unwrap_or_default)
        .map(move |value| {
            let length = value.len();
            drop(client.set(to, value));
            length
        })
}
