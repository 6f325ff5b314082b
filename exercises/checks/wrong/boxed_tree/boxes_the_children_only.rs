//! Fails: E0720

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to the depth of the tree below `key`: 1 if the key has no children.
fn depth(mut client: KvsClient, key: String) -> impl Future<Item = usize, Error = KvsError> + Send {
    client.get(key).and_then(move |value| {
        let children = value.unwrap_or_default();
        let children = children.split_whitespace().map(str::to_owned);
        let depths: Vec<_> = children
            .map(|key| Box::new(depth(client.clone(), key)))
            .collect();
        future::join_all(depths).map(|depths| 1 + depths.into_iter().max().unwrap_or(0))
    })
}
