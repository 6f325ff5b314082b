// A backup reads ten thousand keys. `join_all` sends ten thousand requests at once, and other parts
// of the program wait behind them all.
//
// Read all keys with at most `bound` requests at once. The order of the pairs does not matter. So
// one slow request must not keep the others from being sent.
// `docs/patterns.md`, "With a bound".
#![allow(unused, reason = "you will use it")]

use futures::{Future, Stream, future, stream};
use kvs::KvsError;

fn main() {}

/// A key and its value.
type Pair = (String, Option<String>);

/// Resolves to all pairs, in any order. `get` makes the request for one of them.
fn read_all<F: Future<Item = Pair, Error = KvsError>>(
    keys: Vec<String>,
    get: impl FnMut(String) -> F,
    bound: usize,
) -> impl Future<Item = Vec<Pair>, Error = KvsError> {
    // TODO: at most `bound` requests at once.
    let gets: Vec<_> = keys.into_iter().map(get).collect();
    future::join_all(gets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::Async;
    use kvs::client::anon::KvsClient;
    use support::{Requests, Task, serve, within_time};

    fn pair(key: &str) -> Pair {
        (key.to_owned(), Some(format!("value of {key}")))
    }

    fn read(
        keys: &[&str],
        server: &Requests<Pair>,
    ) -> Task<impl Future<Item = Vec<Pair>, Error = KvsError>> {
        let keys = keys.iter().map(|&key| key.to_owned()).collect();
        Task::new(read_all(keys, |key| server.make(key), 2))
    }

    #[test]
    fn the_bound_is_kept_and_used() {
        within_time(|| {
            let server = Requests::new();
            let keys = ["a", "b", "c", "d"];
            let mut task = read(&keys, &server);
            task.expect_not_ready();
            assert_eq!(server.running(), 2, "requests at once, with a bound of two");
            for (n, key) in keys.into_iter().enumerate() {
                server.answer(key, Ok(pair(key)));
                if n < 3 {
                    task.expect_not_ready();
                    let expected = 2.min(3 - n);
                    let running = server.running();
                    assert_eq!(
                        running, expected,
                        "requests at once, after the answer for `{key}`"
                    );
                }
            }
            let Ok(Async::Ready(mut pairs)) = task.poll() else {
                panic!("all requests have their answers");
            };
            pairs.sort();
            assert_eq!(pairs, keys.map(pair), "the pairs, sorted");
            assert_eq!(server.most(), 2, "requests at once, at most");
        });
    }

    #[test]
    fn a_slow_request_does_not_stop_the_others() {
        within_time(|| {
            let server = Requests::new();
            let mut task = read(&["slow", "b", "c", "d"], &server);
            task.expect_not_ready();
            for key in ["b", "c", "d"] {
                assert!(
                    server.sent().iter().any(|sent| sent == key),
                    "the first request is slow, and `{key}` was not sent although there is room: \
                     the order does not matter, so nothing has to wait for the first one"
                );
                server.answer(key, Ok(pair(key)));
                task.expect_not_ready();
            }
            server.answer("slow", Ok(pair("slow")));
            assert_eq!(task.finish().unwrap().len(), 4, "pairs");
        });
    }

    #[test]
    fn nothing_is_sent_before_the_first_poll() {
        within_time(|| {
            let server = Requests::new();
            let task = read(&["a", "b"], &server);
            assert!(server.sent().is_empty(), "requests before the first poll");
            drop(task);
        });
    }

    #[test]
    fn it_works_with_a_server() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let keys: Vec<_> = (0..20).map(|n| format!("user:{n:02}")).collect();
            for key in &keys {
                client.set(key.clone(), key.clone()).wait().unwrap();
            }
            let get = |key: String| client.get(key.clone()).map(|value| (key, value));
            let mut pairs = read_all(keys, get, 3).wait().unwrap();
            pairs.sort();
            assert_eq!(pairs.len(), 20, "pairs");
            let seven = "user:07".to_owned();
            assert_eq!(pairs[7], (seven.clone(), Some(seven)), "the eighth pair");
        });
    }
}
