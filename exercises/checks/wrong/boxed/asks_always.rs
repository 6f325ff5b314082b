//! Fails: a_value_of_the_cache_needs_no_server: the value is in the cache, but the server was asked

use std::collections::HashMap;

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to the value of `key` in `cache`, or else to the value that the server has.
fn lookup(
    client: &mut KvsClient,
    cache: &HashMap<String, String>,
    key: String,
) -> Box<dyn Future<Item = Option<String>, Error = KvsError> + Send> {
    let cached = cache.get(&key).cloned();
    Box::new(client.get(key).map(|value| cached.or(value)))
}
