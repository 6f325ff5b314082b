// The `and_then` owns the future of `set`, and polls it first. The future of `get` can be made
// before that, because it is lazy, too: the client sends its request when the chain polls it.

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Stores `value` under `key`, and resolves to the value that the server then has.
fn store(
    client: &mut KvsClient,
    key: &str,
    value: &str,
) -> impl Future<Item = Option<String>, Error = KvsError> + use<> {
    let stored = client.set(key.to_owned(), value.to_owned());
    let read = client.get(key.to_owned());
    stored.and_then(|()| read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use support::{serve, within_time};

    #[test]
    fn the_value_is_stored() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let stored = store(&mut client, "key", "value").wait().unwrap();
            assert_eq!(stored.as_deref(), Some("value"), "the value on the server");
        });
    }

    #[test]
    fn nothing_is_stored_before_the_first_poll() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            drop(store(&mut client, "key", "value"));
            let stored = client.get("key".to_owned()).wait().unwrap();
            assert_eq!(stored, None, "the value on the server");
        });
    }
}
