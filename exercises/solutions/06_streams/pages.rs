// The cursor alone is not enough for the state of `unfold`: `None` would mean both "ask for the
// first page" and "the last page has arrived". So the state is an enum that tells them apart. The
// closure learns only from the state that there is no further page, and by then the pairs of the
// last one are handed out.
//
// An empty page needs no code: `flatten` finds no pair in it, and polls `unfold` again at once.

use futures::{Future, Stream, stream};

fn main() {}

type Pair = (String, String);
type Error = &'static str;

struct Page {
    /// The pairs of the page. There may be none, although it is not the last page.
    pairs: Vec<Pair>,
    /// The cursor of the next page, or `None` after the last one.
    cursor: Option<String>,
}

enum Next {
    First,
    At(String),
    End,
}

/// Returns the pairs of all pages. `ask` makes the request for the page at a cursor, and that for
/// the first page if the cursor is `None`.
///
/// The stream asks for a page only when it is polled and has handed out all pairs before. It asks
/// for nothing after the last page.
fn all_pairs<F>(mut ask: impl FnMut(Option<String>) -> F) -> impl Stream<Item = Pair, Error = Error>
where
    F: Future<Item = Page, Error = Error>,
{
    let pages = stream::unfold(Next::First, move |next| {
        let page = match next {
            Next::First => ask(None),
            Next::At(cursor) => ask(Some(cursor)),
            Next::End => return None,
        };
        Some(page.map(|page| (page.pairs, page.cursor.map_or(Next::End, Next::At))))
    });
    pages.map(stream::iter_ok).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;

    use futures::sync::oneshot::{self, Sender};
    use futures::{Async, future};
    use support::{Task, within_time};

    /// Returns a page with these keys.
    fn page(keys: &[&str], cursor: Option<&str>) -> Page {
        let pairs = keys.iter().map(|key| (key.to_string(), "value".to_owned()));
        Page {
            pairs: pairs.collect(),
            cursor: cursor.map(str::to_owned),
        }
    }

    struct Request {
        cursor: Option<String>,
        /// `None` if the request is answered, or its connection is gone.
        reply: Option<Sender<Page>>,
    }

    /// The requests that were made.
    #[derive(Default)]
    struct Server(RefCell<Vec<Request>>);

    impl Server {
        fn ask(&self, cursor: Option<String>) -> impl Future<Item = Page, Error = Error> + use<> {
            let (reply, page) = oneshot::channel();
            let is_first = self.0.borrow().is_empty();
            assert_eq!(
                cursor.is_none(),
                is_first,
                "the stream asks for the first page at its beginning, and only then"
            );
            let reply = Some(reply);
            self.0.borrow_mut().push(Request { cursor, reply });
            page.map_err(|_| "the connection is gone")
        }

        /// Returns how many pages were asked for.
        fn asked(&self) -> usize {
            self.0.borrow().len()
        }

        /// Answers the last request, which was for the page at `cursor`.
        fn answer(&self, cursor: Option<&str>, page: Page) {
            let mut requests = self.0.borrow_mut();
            let request = requests.last_mut().expect("no page was asked for");
            assert_eq!(
                request.cursor.as_deref(),
                cursor,
                "the cursor of the request"
            );
            let reply = request.reply.take().expect("the page was sent already");
            assert!(
                reply.send(page).is_ok(),
                "the future of the page was dropped"
            );
        }
    }

    fn key(key: &str) -> Result<Async<Option<String>>, Error> {
        Ok(Async::Ready(Some(key.to_owned())))
    }

    #[test]
    fn pages_become_pairs() {
        within_time(|| {
            let server = Server::default();
            let keys = all_pairs(|cursor| server.ask(cursor)).map(|(key, _value)| key);
            let mut keys = Box::new(keys);
            assert_eq!(
                server.asked(),
                0,
                "a stream does nothing before it is polled"
            );
            let mut next = Task::new(future::poll_fn(|| keys.poll()));
            assert_eq!(
                next.poll(),
                Ok(Async::NotReady),
                "the first page has not arrived"
            );
            assert_eq!(server.asked(), 1, "the first poll asks for the first page");

            server.answer(None, page(&["a", "b"], Some("c")));
            assert_eq!(next.wakes(), 1, "the page has arrived");
            assert_eq!(next.poll(), key("a"), "the first page has arrived");
            assert_eq!(next.poll(), key("b"), "the page has another pair");
            assert_eq!(server.asked(), 1, "ask only when the pairs are handed out");

            assert_eq!(
                next.poll(),
                Ok(Async::NotReady),
                "the page at `c` has not arrived"
            );
            server.answer(Some("c"), page(&["d"], None));
            assert_eq!(next.poll(), key("d"), "the pairs of the last page");
            assert_eq!(next.poll(), Ok(Async::Ready(None)), "the end");
            assert_eq!(server.asked(), 2, "there is nothing after the last page");
        });
    }

    #[test]
    fn an_empty_page_is_not_the_end() {
        within_time(|| {
            let server = Server::default();
            let mut keys = Box::new(all_pairs(|cursor| server.ask(cursor)).map(|(key, _)| key));
            let mut next = Task::new(future::poll_fn(|| keys.poll()));
            assert_eq!(
                next.poll(),
                Ok(Async::NotReady),
                "the first page has not arrived"
            );
            server.answer(None, page(&[], Some("b")));
            let after_the_empty_page = next.poll();
            assert_eq!(
                after_the_empty_page,
                Ok(Async::NotReady),
                "an empty page with a cursor is not the end: ask for the next page"
            );
            assert_eq!(
                server.asked(),
                2,
                "the empty page has arrived, so nothing will wake the task: ask for the next page \
                 before you return `NotReady`"
            );
            server.answer(Some("b"), page(&["b"], Some("c")));
            assert_eq!(next.poll(), key("b"), "the page at `b` has arrived");
            assert_eq!(
                next.poll(),
                Ok(Async::NotReady),
                "the page at `c` has not arrived"
            );
            server.answer(Some("c"), page(&[], None));
            assert_eq!(
                next.poll(),
                Ok(Async::Ready(None)),
                "the last page is empty"
            );
        });
    }

    #[test]
    fn an_error_is_passed_on() {
        within_time(|| {
            let server = Server::default();
            let mut pairs = Box::new(all_pairs(|cursor| server.ask(cursor)));
            let mut next = Task::new(future::poll_fn(|| pairs.poll()));
            assert_eq!(
                next.poll(),
                Ok(Async::NotReady),
                "the first page has not arrived"
            );
            server.0.borrow_mut().last_mut().unwrap().reply = None;
            assert_eq!(next.poll(), Err("the connection is gone"));
        });
    }
}
