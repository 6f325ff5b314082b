//! Fails: E0308

use std::collections::HashMap;

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to the value of `key` in `cache`, or else to the value that the server has.
fn lookup(
    client: &mut KvsClient,
    cache: &HashMap<String, String>,
    key: String,
) -> Box<dyn Future<Item = Option<String>, Error = KvsError> + Send> {
    Box::new(match cache.get(&key) {
        Some(value) => future::ok(Some(value.clone())),
        None => client.get(key),
    })
}
