//! Fails: the_bound_is_kept_and_used: requests at once, with a bound of three

use futures::{Future, Stream, future, stream};
use kvs::KvsError;

fn main() {}

/// Returns the pages 1 to `count`, in their order. `get` makes the request for one of them.
fn pages<F: Future<Item = String, Error = KvsError>>(
    count: usize,
    get: impl FnMut(usize) -> F,
    ahead: usize,
) -> impl Stream<Item = String, Error = KvsError> {
    stream::futures_ordered((1..=count).map(get))
}
