//! Fails: all_pairs_are_stored: the pairs on the server

use futures::{Future, Stream};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

fn store_all(
    mut client: KvsClient,
    pairs: impl Stream<Item = (String, String), Error = KvsError>,
) -> impl Future<Item = (), Error = KvsError> {
    pairs.for_each(move |(key, value)| {
        let _set = client.set(key, value);
        Ok(())
    })
}
