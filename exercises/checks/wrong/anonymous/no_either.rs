//! Fails: E0308

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to `given`, or else to the value of `key` on the server.
fn setting(
    mut client: KvsClient,
    key: String,
    given: Option<String>,
) -> impl Future<Item = Option<String>, Error = KvsError> + Send {
    match given {
        Some(value) => future::ok(Some(value)),
        None => client.get(key),
    }
}
