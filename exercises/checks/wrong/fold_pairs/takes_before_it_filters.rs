//! Fails: the_first_keys_with_empty_values: the first two keys whose values are empty

use futures::{Future, Stream};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

fn total_len(client: &mut KvsClient) -> impl Future<Item = usize, Error = KvsError> + use<> {
    client
        .scan(String::new())
        .fold(0, |sum, (_, value)| Ok::<_, KvsError>(sum + value.len()))
}

fn empty_keys(
    client: &mut KvsClient,
    n: u64,
) -> impl Future<Item = Vec<String>, Error = KvsError> + use<> {
    client
        .scan(String::new())
        .take(n)
        .filter(|(_, value)| value.is_empty())
        .map(|(key, _)| key)
        .collect()
}
