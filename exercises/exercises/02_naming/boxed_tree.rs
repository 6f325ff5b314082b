// The value of a key lists other keys, as a directory lists files. So the keys form a tree, and a
// function that walks through it calls itself. A future that contains futures of its own type has
// no size, and the compiler refuses that.
//
// End the circle, without a change to the steps of the chain.
// `docs/part-2-boxed.md`, "What only a box can do".

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to the depth of the tree below `key`: 1 if the key has no children.
fn depth(mut client: KvsClient, key: String) -> impl Future<Item = usize, Error = KvsError> + Send {
    // TODO: a type that does not contain itself.
    client.get(key).and_then(move |value| {
        let children = value.unwrap_or_default();
        let children = children.split_whitespace().map(str::to_owned);
        let depths: Vec<_> = children.map(|key| depth(client.clone(), key)).collect();
        future::join_all(depths).map(|depths| 1 + depths.into_iter().max().unwrap_or(0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use support::{serve, within_time};
    use tokio::runtime::current_thread::Runtime;

    /// Resolves to the depth of `/`, on a runtime of one thread.
    fn depth_of(tree: &[(&str, &str)]) -> usize {
        let (_dir, server) = serve();
        let mut runtime = Runtime::new().unwrap();
        let mut client = runtime.block_on(KvsClient::connect(server.addr)).unwrap();
        for (key, children) in tree {
            let set = client.set((*key).to_owned(), (*children).to_owned());
            runtime.block_on(set).unwrap();
        }
        runtime.block_on(depth(client, "/".to_owned())).unwrap()
    }

    #[test]
    fn a_key_without_children_has_the_depth_1() {
        within_time(|| assert_eq!(depth_of(&[]), 1, "the depth of a key alone"));
    }

    #[test]
    fn the_deepest_branch_counts() {
        within_time(|| {
            let tree = [
                ("/", "/etc /home /tmp"),
                ("/home", "/home/ada /home/bob"),
                ("/home/ada", "/home/ada/notes"),
            ];
            assert_eq!(depth_of(&tree), 4, "the depth of /home/ada/notes");
        });
    }
}
