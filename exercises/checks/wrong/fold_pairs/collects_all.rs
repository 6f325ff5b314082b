//! Fails: the_first_keys_with_empty_values: stop when you have `n` keys

use futures::{Future, Stream};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

fn total_len(client: &mut KvsClient) -> impl Future<Item = usize, Error = KvsError> + use<> {
    client
        .scan(String::new())
        .collect()
        .map(|pairs| pairs.iter().map(|(_, value)| value.len()).sum())
}

fn empty_keys(
    client: &mut KvsClient,
    n: u64,
) -> impl Future<Item = Vec<String>, Error = KvsError> + use<> {
    client.scan(String::new()).collect().map(move |pairs| {
        let empty = pairs.into_iter().filter(|(_, value)| value.is_empty());
        empty.map(|(key, _)| key).take(n as usize).collect()
    })
}
