//! Fails: E0308

use std::collections::HashMap;

use futures::Future;
use futures::future::{self, Either};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to the value of `key`: that of the cache, or else that of the server.
fn get(
    cache: &HashMap<String, String>,
    client: &mut KvsClient,
    key: String,
) -> impl Future<Item = Option<String>, Error = KvsError> + use<> {
    match cache.get(&key) {
        Some(value) => Either::A(future::ok(Some(value.clone()))),
        None => Either::A(client.get(key)),
    }
}
