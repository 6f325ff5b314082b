//! Fails: a_value_in_the_cache_needs_no_request: the first poll returns it without a request

use std::collections::HashMap;

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to the value of `key`: that of the cache, or else that of the server.
fn get(
    cache: &HashMap<String, String>,
    client: &mut KvsClient,
    key: String,
) -> impl Future<Item = Option<String>, Error = KvsError> + use<> {
    let known = cache.get(&key).cloned();
    client.get(key).map(|value| known.or(value))
}
