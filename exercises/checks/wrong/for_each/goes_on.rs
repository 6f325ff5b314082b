//! Fails: nothing_is_sent_after_an_error: stop at the first error

use futures::{Future, Stream};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

fn store_all(
    mut client: KvsClient,
    pairs: impl Stream<Item = (String, String), Error = KvsError>,
) -> impl Future<Item = (), Error = KvsError> {
    pairs.for_each(move |(key, value)| client.set(key, value).then(|_| Ok(())))
}
