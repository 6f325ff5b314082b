// `for_each` polls the stream again only when the future of the closure has resolved. So one
// request is pending at a time, and the requests have the order of the pairs. If that future fails,
// the whole future fails with its error, and the stream is not polled again.
//
// `map` and `buffer_unordered` would be faster, and would have sent further requests before the
// first error arrives.

use futures::{Future, Stream};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Stores the pairs one after the other, and resolves when all are stored. The first error ends it:
/// no further pair is sent to the server.
fn store_all(
    mut client: KvsClient,
    pairs: impl Stream<Item = (String, String), Error = KvsError>,
) -> impl Future<Item = (), Error = KvsError> {
    pairs.for_each(move |(key, value)| client.set(key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::sync::mpsc;

    use futures::stream;
    use support::harness::Script;
    use support::{Task, serve, within_time};

    fn pairs(
        pairs: &[(&'static str, &'static str)],
    ) -> impl Stream<Item = (String, String), Error = KvsError> + use<> {
        let pairs = pairs
            .iter()
            .map(|(key, value)| (key.to_string(), value.to_string()));
        stream::iter_ok(pairs.collect::<Vec<_>>())
    }

    #[test]
    fn all_pairs_are_stored() {
        within_time(|| {
            let (_dir, server) = serve();
            let client = KvsClient::connect(server.addr).wait().unwrap();
            let stored = store_all(client.clone(), pairs(&[("a", "1"), ("b", "2"), ("a", "3")]));
            Task::new(stored).finish().unwrap();
            let mut on_server = client.clone().scan(String::new()).collect().wait().unwrap();
            on_server.sort();
            let expected = pairs(&[("a", "3"), ("b", "2")]).collect().wait().unwrap();
            assert_eq!(on_server, expected, "the pairs on the server");
        });
    }

    #[test]
    fn nothing_is_sent_after_an_error() {
        within_time(|| {
            let (reply, may_reply) = mpsc::channel::<()>();
            let script = Script::start(move |mut peer| {
                assert!(peer.receive().contains(r#""a""#), "the first pair");
                let _ = may_reply.recv();
                peer.send(r#""Set""#);
                assert!(peer.receive().contains(r#""b""#), "the second pair");
                peer.send(r#"{"Err":{"code":"engine","message":"the disk is broken"}}"#);
                if let Ok(request) = peer.try_receive() {
                    panic!(
                        "the server has refused the second pair, and got {request} all the same: \
                         send one request after the other, and stop at the first error"
                    );
                }
            });
            let client = KvsClient::connect(script.addr).wait().unwrap();
            let taken = Cell::new(0);
            let three = pairs(&[("a", "1"), ("b", "2"), ("c", "3")]);
            let three = three.inspect(|_pair| taken.set(taken.get() + 1));
            let mut stored = Task::new(store_all(client, three));
            let is_waiting = stored.poll().unwrap().is_not_ready();
            assert!(is_waiting, "the server has not replied yet: wait for it");
            assert_eq!(
                taken.get(),
                1,
                "the server has not replied to the first pair: do not take another one yet"
            );
            reply.send(()).unwrap();
            let result = stored.finish();
            script.finish();
            assert!(result.is_err(), "the error of the second pair got lost");
        });
    }
}
