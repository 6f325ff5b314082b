//! Fails: all_errors_are_collected: none of them needs the result of another one

use futures::{Future, future};
use kvs::KvsError;

fn main() {}

/// Resolves to the keys that could not be removed. `remove` makes the request for one of them.
fn remove_all<F: Future<Item = (), Error = KvsError>>(
    keys: Vec<String>,
    mut remove: impl FnMut(String) -> F,
) -> impl Future<Item = Vec<(String, KvsError)>, Error = KvsError> {
    use futures::{Stream, stream};
    let results = stream::iter_ok(keys)
        .and_then(move |key| remove(key.clone()).then(|result| Ok((key, result))));
    let failed = results.filter_map(|(key, result)| Some((key, result.err()?)));
    failed.collect()
}
