// Your program keeps some values in a cache. If the value of a key is there, the future resolves at
// once. Otherwise it asks the server. These are two futures of two types, and the function has one
// return type.
//
// Return a boxed future that can move to another thread. The body needs a change, too.
// `docs/part-2-boxed.md`, "A type for the future", and "What only a box can do".

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
) -> Future<Item = Option<String>, Error = KvsError> {
    // TODO: mend the return type. Then read the next error of the compiler.
    match cache.get(&key) {
        Some(value) => future::ok(Some(value.clone())),
        None => client.get(key),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future;
    use support::{serve, within_time};

    type Boxed = Box<dyn Future<Item = Option<String>, Error = KvsError> + Send>;

    fn cache() -> HashMap<String, String> {
        HashMap::from([("cached".to_owned(), "from the cache".to_owned())])
    }

    #[test]
    fn a_value_of_the_cache_needs_no_server() {
        within_time(|| {
            let (_dir, mut server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            server.stop();
            let value: Boxed = lookup(&mut client, &cache(), "cached".to_owned());
            let value = value.wait();
            let value = value.expect("the value is in the cache, but the server was asked");
            assert_eq!(value.as_deref(), Some("from the cache"), "the value");
        });
    }

    #[test]
    fn another_value_comes_from_the_server() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let set = client.set("key".to_owned(), "from the server".to_owned());
            set.wait().unwrap();
            let keys = ["key", "missing"].map(str::to_owned);
            let values: [Boxed; 2] = keys.map(|key| lookup(&mut client, &cache(), key));
            let values = future::join_all(values).wait().unwrap();
            let expected = vec![Some("from the server".to_owned()), None];
            assert_eq!(values, expected, "the values that the cache does not have");
        });
    }
}
