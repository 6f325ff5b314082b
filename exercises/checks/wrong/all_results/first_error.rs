//! Fails: all_errors_are_collected: do not stop

use futures::{Future, future};
use kvs::KvsError;

fn main() {}

/// Resolves to the keys that could not be removed. `remove` makes the request for one of them.
fn remove_all<F: Future<Item = (), Error = KvsError>>(
    keys: Vec<String>,
    mut remove: impl FnMut(String) -> F,
) -> impl Future<Item = Vec<(String, KvsError)>, Error = KvsError> {
    let removes = keys
        .into_iter()
        .map(|key| remove(key.clone()).map_err(|error| (key, error)));
    let all = future::join_all(removes.collect::<Vec<_>>());
    all.map(|_| Vec::new()).or_else(|failed| Ok(vec![failed]))
}
