//! Fails: a_key_that_does_not_exist_is_no_error: the key did not exist, so this is false

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Removes `key`. Resolves to whether the key existed.
fn remove_if_there(
    client: &mut KvsClient,
    key: String,
) -> impl Future<Item = bool, Error = KvsError> + use<> {
    let removed = client.remove(key);
    removed
        .or_else(|error| match error {
            KvsError::KeyNotFound => Ok(()),
            other => Err(other),
        })
        .map(|()| true)
}
