//! Fails: both_requests_are_sent_before_a_reply_arrives: the second request waits

use futures::{Future, future};
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
    let first = client.get(first).wait();
    future::result(first).join(client.get(second))
}
