//! Fails: the_bound_is_kept_and_used: requests at once, after the answer for `a`

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
    let mut gets: Vec<F> = keys.into_iter().map(get).collect();
    let mut rounds = Vec::new();
    while !gets.is_empty() {
        let rest = gets.split_off(bound.min(gets.len()));
        rounds.push(future::join_all(gets));
        gets = rest;
    }
    stream::iter_ok(rounds).and_then(|round| round).concat2()
}
