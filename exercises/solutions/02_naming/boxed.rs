// Each arm boxes its own future. After that, both have the same type: a box has forgotten what is
// in it. A box around the whole `match` comes too late, because the arms of a `match` have to agree
// before.
//
// The box does not borrow the cache, since it is `'static`: so the value in it is cloned.

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
    match cache.get(&key) {
        Some(value) => Box::new(future::ok(Some(value.clone()))),
        None => Box::new(client.get(key)),
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
