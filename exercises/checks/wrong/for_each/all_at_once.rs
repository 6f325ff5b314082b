//! Fails: nothing_is_sent_after_an_error: do not take another one yet

use futures::{Future, Stream};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

fn store_all(
    mut client: KvsClient,
    pairs: impl Stream<Item = (String, String), Error = KvsError>,
) -> impl Future<Item = (), Error = KvsError> {
    pairs
        .map(move |(key, value)| client.set(key, value))
        .buffer_unordered(10)
        .for_each(|()| Ok(()))
}
