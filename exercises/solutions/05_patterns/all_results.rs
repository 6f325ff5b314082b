// `then` runs after a success and after an error. It makes an item of both, so no future of the
// `join_all` fails, and `join_all` waits for all of them.

use futures::{Future, future};
use kvs::KvsError;

fn main() {}

/// Resolves to the keys that could not be removed. `remove` makes the request for one of them.
fn remove_all<F: Future<Item = (), Error = KvsError>>(
    keys: Vec<String>,
    mut remove: impl FnMut(String) -> F,
) -> impl Future<Item = Vec<(String, KvsError)>, Error = KvsError> {
    let removes = keys.into_iter().map(|key| {
        let result = remove(key.clone());
        result.then(move |result| Ok(result.err().map(|error| (key, error))))
    });
    let all = future::join_all(removes.collect::<Vec<_>>());
    all.map(|failed| failed.into_iter().flatten().collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvs::client::anon::KvsClient;
    use support::{Requests, Task, refused, serve, within_time};

    fn keys(keys: &[&str]) -> Vec<String> {
        keys.iter().map(|&key| key.to_owned()).collect()
    }

    #[test]
    fn all_errors_are_collected() {
        within_time(|| {
            let server = Requests::new();
            let abcd = keys(&["a", "b", "c", "d"]);
            let mut task = Task::new(remove_all(abcd, |key| server.make(key)));
            match task.poll() {
                Ok(futures::Async::NotReady) => {}
                _ => panic!("no request has its result yet"),
            }
            assert_eq!(
                server.running(),
                4,
                "requests at once: none of them needs the result of another one"
            );
            server.answer("d", Err(KvsError::KeyNotFound));
            assert!(
                matches!(task.poll(), Ok(futures::Async::NotReady)),
                "one request has failed, and the others have no results yet: do not stop"
            );
            server.answer("c", Ok(()));
            server.answer("b", Err(refused()));
            server.answer("a", Ok(()));
            let failed = task.finish().expect("errors are a part of the item");
            assert!(
                matches!(
                    &failed[..],
                    [(b, KvsError::Connect { .. }), (d, KvsError::KeyNotFound)]
                        if b == "b" && d == "d"
                ),
                "`b` and `d` have failed, but the result is {failed:?}"
            );
        });
    }

    #[test]
    fn all_keys_are_removed_that_can_be() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            client.set("b".to_owned(), "2".to_owned()).wait().unwrap();
            let failed = remove_all(keys(&["a", "b", "c"]), |key| client.remove(key)).wait();
            let failed = failed.expect("errors are a part of the item");
            let failed: Vec<_> = failed.iter().map(|(key, _)| key.as_str()).collect();
            assert_eq!(failed, ["a", "c"], "the keys that do not exist");
            let value = client.get("b".to_owned()).wait().unwrap();
            assert_eq!(value, None, "the value of a key that was removed");
        });
    }

    #[test]
    fn without_errors_the_list_is_empty() {
        within_time(|| {
            let server = Requests::new();
            let mut task = Task::new(remove_all(keys(&["a", "b"]), |key| server.make(key)));
            let _ = task.poll();
            server.answer("a", Ok(()));
            server.answer("b", Ok(()));
            let failed = task.finish().unwrap();
            assert!(failed.is_empty(), "both were removed: {failed:?}");
        });
    }
}
