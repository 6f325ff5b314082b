// `Either` is an enum of two futures, and a future itself: it polls the one that is in it. Both
// sides need the same `Item` and `Error`, and nothing else in common. The other way that compiles
// is to ask the server always, and to decide in a `map` at the end, but that sends requests for
// nothing.

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
        None => Either::B(client.get(key)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::Async;
    use support::harness::Script;
    use support::{Task, serve, within_time};

    fn cache() -> HashMap<String, String> {
        HashMap::from([("known".to_owned(), "1".to_owned())])
    }

    #[test]
    fn a_value_that_is_not_in_the_cache_is_fetched() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let set = client.set("far".to_owned(), "2".to_owned());
            set.wait().unwrap();
            let value = get(&cache(), &mut client, "far".to_owned()).wait();
            assert_eq!(value.unwrap().as_deref(), Some("2"));
        });
    }

    #[test]
    fn a_value_in_the_cache_needs_no_request() {
        within_time(|| {
            // This server replies to nothing.
            let script = Script::start(|mut peer| drop(peer.try_receive()));
            let mut client = KvsClient::connect(script.addr).wait().unwrap();
            let mut value = Task::new(get(&cache(), &mut client, "known".to_owned()));
            let polled = value.poll();
            drop((value, client));
            script.finish();
            assert!(
                matches!(&polled, Ok(Async::Ready(Some(value))) if value == "1"),
                "the value is in the cache, so the first poll returns it without a \
                 request: {polled:?}"
            );
        });
    }
}
