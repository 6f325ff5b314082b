//! Fails: both_requests_are_sent_before_a_reply_arrives: the second request waits

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
    let (first, second) = (client.get(first), client.get(second));
    first.and_then(|first| second.map(|second| (first, second)))
}
