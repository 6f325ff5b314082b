//! Fails: the_deepest_branch_counts: the depth of /home/ada/notes

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to the depth of the tree below `key`: 1 if the key has no children.
fn depth(mut client: KvsClient, key: String) -> impl Future<Item = usize, Error = KvsError> + Send {
    client.get(key).and_then(move |value| {
        let children = value.unwrap_or_default();
        let children = children.split_whitespace().map(str::to_owned);
        let children: Vec<_> = children.map(|key| client.get(key)).collect();
        future::join_all(children).map(|children| if children.is_empty() { 1 } else { 2 })
    })
}
