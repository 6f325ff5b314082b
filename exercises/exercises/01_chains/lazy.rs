// A future of kvs's clients does nothing until it is polled. This function makes the future of a
// `set` and drops it, so nothing is stored.
//
// Return a future that stores the value first, and then resolves to the value that the server has.
// It cannot keep the borrow of the client (`use<>` promises that), and it need not: `set` and `get`
// use the client during the call only, and their futures do nothing yet.
// `docs/background.md`, "Lazy: not polled, not done".

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
    // TODO: the future of `set` is dropped here. Make it the first step of the chain.
    drop(client.set(key.to_owned(), value.to_owned()));
    client.get(key.to_owned())
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
