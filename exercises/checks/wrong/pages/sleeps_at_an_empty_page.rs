//! Fails: an_empty_page_is_not_the_end: so nothing will wake the task

use std::vec::IntoIter;

use futures::{Async, Future, Poll, Stream, try_ready};

fn main() {}

type Pair = (String, String);
type Error = &'static str;

struct Page {
    pairs: Vec<Pair>,
    cursor: Option<String>,
}

struct AllPairs<A, F> {
    ask: A,
    pairs: IntoIter<Pair>,
    cursor: Option<String>,
    page: Option<F>,
    is_done: bool,
}

impl<A: FnMut(Option<String>) -> F, F: Future<Item = Page, Error = Error>> Stream
    for AllPairs<A, F>
{
    type Item = Pair;
    type Error = Error;

    fn poll(&mut self) -> Poll<Option<Pair>, Error> {
        if let Some(pair) = self.pairs.next() {
            return Ok(Async::Ready(Some(pair)));
        }
        if self.is_done {
            return Ok(Async::Ready(None));
        }
        let (ask, cursor) = (&mut self.ask, &mut self.cursor);
        let page = self.page.get_or_insert_with(|| ask(cursor.take()));
        let page = try_ready!(page.poll());
        self.page = None;
        self.is_done = page.cursor.is_none();
        self.cursor = page.cursor;
        self.pairs = page.pairs.into_iter();
        match self.pairs.next() {
            None if !self.is_done => Ok(Async::NotReady),
            pair => Ok(Async::Ready(pair)),
        }
    }
}

fn all_pairs<F>(ask: impl FnMut(Option<String>) -> F) -> impl Stream<Item = Pair, Error = Error>
where
    F: Future<Item = Page, Error = Error>,
{
    AllPairs {
        ask,
        pairs: Vec::new().into_iter(),
        cursor: None,
        page: None,
        is_done: false,
    }
}
