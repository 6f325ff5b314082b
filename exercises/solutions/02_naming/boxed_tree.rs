// A box is two pointers, with any future behind them. So the future of a key has a size, although it
// contains the futures of its children. The box belongs around the whole chain, and into the return
// type, since that is the type that the function finds when it calls itself.

use futures::{Future, future};
use kvs::KvsError;
use kvs::client::anon::KvsClient;

fn main() {}

/// Resolves to the depth of the tree below `key`: 1 if the key has no children.
fn depth(
    mut client: KvsClient,
    key: String,
) -> Box<dyn Future<Item = usize, Error = KvsError> + Send> {
    Box::new(client.get(key).and_then(move |value| {
        let children = value.unwrap_or_default();
        let children = children.split_whitespace().map(str::to_owned);
        let depths: Vec<_> = children.map(|key| depth(client.clone(), key)).collect();
        future::join_all(depths).map(|depths| 1 + depths.into_iter().max().unwrap_or(0))
    }))
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
