// `get` resolves to a value, and `set` can send that value back to the server. To copy a value, we
// need both, and the second step needs the value of the first.
//
// Make one chain of `get`, `set` and the combinators `map` and `and_then`.
// `docs/background.md`, "A future from its user's side".
#![allow(unused, reason = "you will use them")]

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Stores the value of the key `from` under the key `to`, too. If the key `from` does not exist,
/// stores an empty value. Resolves to the length of the value.
fn copy(
    mut client: KvsClient,
    from: String,
    to: String,
) -> impl Future<Item = usize, Error = KvsError> {
    // TODO: `get` the value, then `set` it, then return its length.
    future::ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use support::{serve, within_time};
    use tokio::runtime::current_thread::Runtime;

    #[test]
    fn the_value_is_copied() {
        within_time(|| {
            let (_dir, server) = serve();
            // Its one thread reads the replies, too. A `wait` in `copy` would block it for ever.
            let mut runtime = Runtime::new().unwrap();
            let mut client = runtime.block_on(KvsClient::connect(server.addr)).unwrap();
            let set = client.set("a".to_owned(), "value".to_owned());
            runtime.block_on(set).unwrap();
            let copied = copy(client.clone(), "a".to_owned(), "b".to_owned());
            let length = runtime.block_on(copied).unwrap();
            assert_eq!(length, 5, "the length of the value");
            let copy = runtime.block_on(client.get("b".to_owned())).unwrap();
            assert_eq!(
                copy.as_deref(),
                Some("value"),
                "the copy on the server: is the future of `set` a step of your chain?"
            );
        });
    }

    #[test]
    fn a_missing_value_is_copied_as_an_empty_one() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let copied = copy(client.clone(), "a".to_owned(), "b".to_owned());
            assert_eq!(copied.wait().unwrap(), 0, "the length of the value");
            let copy = client.get("b".to_owned()).wait().unwrap();
            assert_eq!(copy.as_deref(), Some(""), "the copy on the server");
        });
    }

    #[test]
    fn nothing_is_copied_before_the_first_poll() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let set = client.set("a".to_owned(), "value".to_owned());
            set.wait().unwrap();
            drop(copy(client.clone(), "a".to_owned(), "b".to_owned()));
            let copy = client.get("b".to_owned()).wait().unwrap();
            assert_eq!(
                copy, None,
                "the copy on the server: the chain was dropped before its first poll"
            );
        });
    }
}
