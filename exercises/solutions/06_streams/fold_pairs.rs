// `fold` holds its result and one item at a time, and `collect` holds every item. So the second
// chain collects only when `take` has bounded the stream. And `take` comes after `filter`: the
// other way round, it would take the first `n` pairs, and would not look at their values.
//
// When `take` has its items, it ends. Then nothing polls the scan any more, so the scan does not
// ask the server for another page.

use futures::{Future, Stream};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to the sum of the lengths of all values.
fn total_len(client: &mut KvsClient) -> impl Future<Item = usize, Error = KvsError> + use<> {
    let pairs = client.scan(String::new());
    pairs.fold(0, |sum, (_key, value)| Ok::<_, KvsError>(sum + value.len()))
}

/// Resolves to the first `n` keys, in the order of the scan, whose values are empty. Stops as soon
/// as it has `n` keys.
fn empty_keys(
    client: &mut KvsClient,
    n: u64,
) -> impl Future<Item = Vec<String>, Error = KvsError> + use<> {
    let pairs = client.scan(String::new());
    let empty = pairs.filter(|(_key, value)| value.is_empty());
    empty.map(|(key, _value)| key).take(n).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use support::harness::Script;
    use support::{Task, serve, within_time};

    const PAGE: &str =
        r#"{"Scan":{"pairs":[["a","1"],["b",""],["c","22"],["d",""],["e",""]],"cursor":"next"}}"#;

    #[test]
    fn the_lengths_are_summed_up() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let empty = Task::new(total_len(&mut client)).finish().unwrap();
            assert_eq!(empty, 0, "an empty store");
            for n in 0..1500 {
                client.set(n.to_string(), "four".to_owned()).wait().unwrap();
            }
            let total = Task::new(total_len(&mut client)).finish().unwrap();
            assert_eq!(total, 6000, "1500 values of four bytes each");
        });
    }

    #[test]
    fn the_first_keys_with_empty_values() {
        within_time(|| {
            let script = Script::start(|mut peer| {
                peer.receive();
                peer.send(PAGE);
                let next = peer.try_receive();
                assert!(
                    next.is_err(),
                    "the first page has two keys with empty values, and yet the server is asked \
                     for another page: stop when you have `n` keys"
                );
            });
            let mut client = KvsClient::connect(script.addr).wait().unwrap();
            let keys = Task::new(empty_keys(&mut client, 2)).finish();
            drop(client);
            script.finish();
            assert_eq!(
                keys.unwrap(),
                ["b", "d"],
                "the first two keys whose values are empty"
            );
        });
    }

    #[test]
    fn fewer_keys_than_asked_for() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            for (key, value) in [("a", ""), ("b", "1")] {
                let set = client.set(key.to_owned(), value.to_owned());
                set.wait().unwrap();
            }
            let keys = Task::new(empty_keys(&mut client, 2)).finish().unwrap();
            assert_eq!(keys, ["a"], "the keys whose values are empty");
        });
    }
}
