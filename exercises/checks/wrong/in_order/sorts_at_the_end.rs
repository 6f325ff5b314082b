//! Fails: a_page_is_shown_as_soon_as_those_before_it_are: do not wait for the others

use futures::{Future, Stream, future, stream};
use kvs::KvsError;

fn main() {}

/// Returns the pages 1 to `count`, in their order. `get` makes the request for one of them.
fn pages<F: Future<Item = String, Error = KvsError>>(
    count: usize,
    get: impl FnMut(usize) -> F,
    ahead: usize,
) -> impl Stream<Item = String, Error = KvsError> {
    let mut get = get;
    let numbered = move |page| get(page).map(move |text| (page, text));
    let all = stream::iter_ok(1..=count)
        .map(numbered)
        .buffer_unordered(ahead)
        .collect();
    let sorted = all.map(|mut pages| {
        pages.sort();
        stream::iter_ok(pages.into_iter().map(|(_, text)| text))
    });
    sorted.flatten_stream()
}
