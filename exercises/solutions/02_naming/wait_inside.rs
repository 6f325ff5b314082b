// `and_then` is the `?` of futures: each line of the blocking function becomes a link of the chain.
// While a reply is on its way, `poll` returns `NotReady`, and the thread is free to read it.
//
// The closure of the first `and_then` returns a `Result`, because nothing in it has to wait.

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Copies the value of `from` to the key `to`. Fails with `KeyNotFound` if `from` does not exist.
fn copy(
    mut client: KvsClient,
    from: String,
    to: String,
) -> impl Future<Item = (), Error = KvsError> + Send {
    client
        .get(from)
        .and_then(|value| value.ok_or(KvsError::KeyNotFound))
        .and_then(move |value| client.set(to, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;
    use support::{serve, within_time};
    use tokio::runtime::current_thread::Runtime;

    /// Runs a chain on a runtime of one thread, which polls the driver of the connection, too.
    fn on_one_thread<F>(chain: impl FnOnce(KvsClient) -> F + Send + 'static) -> F::Item
    where
        F: Future<Error = KvsError>,
        F::Item: Send + 'static,
    {
        let (sender, result) = mpsc::channel();
        thread::spawn(move || {
            let (_dir, server) = serve();
            let chain = KvsClient::connect(server.addr).and_then(chain);
            let _ = sender.send(Runtime::new().unwrap().block_on(chain));
        });
        let result = result.recv_timeout(Duration::from_secs(5));
        result
            .expect("a deadlock: the only thread of the runtime sleeps in a `wait`")
            .unwrap()
    }

    #[test]
    fn a_value_is_copied() {
        within_time(|| {
            let copied = on_one_thread(|mut client| {
                let set = client.set("a".to_owned(), "value".to_owned());
                set.and_then(move |()| {
                    let copied = copy(client.clone(), "a".to_owned(), "b".to_owned());
                    copied.and_then(move |()| client.get("b".to_owned()))
                })
            });
            let expected = Some("value".to_owned());
            assert_eq!(copied, expected, "the copy, once `copy` has resolved");
        });
    }

    #[test]
    fn a_missing_key_is_an_error_and_nothing_is_stored() {
        within_time(|| {
            let (result, stored) = on_one_thread(|mut client| {
                let copied = copy(client.clone(), "missing".to_owned(), "b".to_owned());
                copied.then(move |result| {
                    let stored = client.get("b".to_owned());
                    stored.map(|stored| (result, stored))
                })
            });
            assert!(
                matches!(result, Err(KvsError::KeyNotFound)),
                "the result for a missing key: {result:?}"
            );
            assert_eq!(stored, None, "the copy of a missing key");
        });
    }
}
