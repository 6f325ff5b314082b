//! Fails: pages_become_pairs: at its beginning, and only then

use futures::{Future, Stream, stream};

fn main() {}

type Pair = (String, String);
type Error = &'static str;

struct Page {
    pairs: Vec<Pair>,
    cursor: Option<String>,
}

fn all_pairs<F>(mut ask: impl FnMut(Option<String>) -> F) -> impl Stream<Item = Pair, Error = Error>
where
    F: Future<Item = Page, Error = Error>,
{
    let pages = stream::unfold(None, move |cursor| {
        Some(ask(cursor).map(|page| (page.pairs, page.cursor)))
    });
    pages.map(stream::iter_ok).flatten()
}
