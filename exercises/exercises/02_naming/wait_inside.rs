// This function was written for the blocking client, and then became a future in a hurry: `lazy`
// around it, and a `wait` behind each request. It works in a small program. On a runtime of one
// thread, it never completes: that thread sleeps in `wait`, and no other thread reads the reply.
//
// Write it without `wait`. It stays lazy: before its first poll, it sends nothing.
// `docs/part-1-tokio.md`, "Starting and stopping runtimes" (the end), and "Why `connect` comes
// first".

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Copies the value of `from` to the key `to`. Fails with `KeyNotFound` if `from` does not exist.
fn copy(
    mut client: KvsClient,
    from: String,
    to: String,
) -> impl Future<Item = (), Error = KvsError> + Send {
    // TODO: a chain instead of a `lazy` that blocks.
    future::lazy(move || {
        let value = client.get(from).wait()?;
        let value = value.ok_or(KvsError::KeyNotFound)?;
        client.set(to, value).wait()
    })
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
