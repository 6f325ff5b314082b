// A poll of the `Join` polls both futures, so both requests leave before the first reply has
// arrived. One after the other is right only where the second step needs the value of the first. To
// make both futures first, and then chain them with `and_then`, is not enough: the second one is
// lazy, and is not polled before the first has resolved.

use futures::Future;
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

type Values = (Option<String>, Option<String>);

/// Resolves to the values of both keys.
fn get_both(
    mut client: KvsClient,
    first: String,
    second: String,
) -> impl Future<Item = Values, Error = KvsError> {
    client.get(first).join(client.get(second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use support::common::Wire;
    use support::harness::Script;
    use support::{serve, within_time};

    /// A server that does not reply before it has received both requests.
    fn replies_to_both(mut peer: Wire) {
        let first = peer.receive();
        let patience = Some(Duration::from_secs(4));
        peer.0.set_read_timeout(patience).unwrap();
        let second = peer
            .try_receive()
            .expect("the second request waits for the reply to the first: run both at once");
        for request in [first, second] {
            let is_first = request.contains(r#""a""#);
            let value = if is_first { "1" } else { "2" };
            peer.send(&format!(r#"{{"Get":"{value}"}}"#));
        }
    }

    #[test]
    fn both_values_are_read() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            let set = client.set("a".to_owned(), "1".to_owned());
            set.wait().unwrap();
            let values = get_both(client, "a".to_owned(), "b".to_owned());
            let expected = (Some("1".to_owned()), None);
            assert_eq!(
                values.wait().unwrap(),
                expected,
                "the values, in the order of the keys"
            );
        });
    }

    #[test]
    fn both_requests_are_sent_before_a_reply_arrives() {
        within_time(|| {
            let script = Script::start(replies_to_both);
            let client = KvsClient::connect(script.addr).wait().unwrap();
            let values = get_both(client, "a".to_owned(), "b".to_owned()).wait();
            script.finish();
            let expected = (Some("1".to_owned()), Some("2".to_owned()));
            assert_eq!(
                values.unwrap(),
                expected,
                "the values, in the order of the keys"
            );
        });
    }
}
