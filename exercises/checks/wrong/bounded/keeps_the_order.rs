//! Fails: a_slow_request_does_not_stop_the_others: the order does not matter

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
    stream::iter_ok(keys).map(get).buffered(bound).collect()
}
