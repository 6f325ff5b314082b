//! Fails: all_errors_are_collected: `b` and `d` have failed, but the result is []

use futures::{Future, future};
use kvs::KvsError;

fn main() {}

/// Resolves to the keys that could not be removed. `remove` makes the request for one of them.
fn remove_all<F: Future<Item = (), Error = KvsError>>(
    keys: Vec<String>,
    mut remove: impl FnMut(String) -> F,
) -> impl Future<Item = Vec<(String, KvsError)>, Error = KvsError> {
    let removes = keys.into_iter().map(|key| remove(key).or_else(|_| Ok(())));
    let all = future::join_all(removes.collect::<Vec<_>>());
    all.map(|_: Vec<()>| Vec::new())
}
