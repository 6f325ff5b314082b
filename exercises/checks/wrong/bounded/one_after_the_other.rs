//! Fails: the_bound_is_kept_and_used: requests at once, with a bound of two

use futures::{Future, Stream, future, stream};
use kvs::KvsError;

fn main() {}

/// A key and its value.
type Pair = (String, Option<String>);

/// Resolves to all pairs, in any order. `get` makes the request for one of them.
fn read_all<F: Future<Item = Pair, Error = KvsError>>(
    keys: Vec<String>,
    get: impl FnMut(String) -> F,
    bound: usize,
) -> impl Future<Item = Vec<Pair>, Error = KvsError> {
    stream::iter_ok(keys).and_then(get).collect()
}
