//! Fails: a_value_is_copied: the copy, once `copy` has resolved

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Copies the value of `from` to the key `to`. Fails with `KeyNotFound` if `from` does not exist.
fn copy(
    mut client: KvsClient,
    from: String,
    to: String,
) -> impl Future<Item = (), Error = KvsError> + Send {
    client.get(from).and_then(move |value| {
        let value = value.ok_or(KvsError::KeyNotFound)?;
        tokio::spawn(client.set(to, value).map_err(drop));
        Ok(())
    })
}
