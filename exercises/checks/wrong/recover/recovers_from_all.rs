//! Fails: every_other_error_stays_an_error: so the key is still there

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
    removed.map(|()| true).or_else(|_| Ok(false))
}
