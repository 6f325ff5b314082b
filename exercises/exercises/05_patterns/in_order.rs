// A book is stored page by page, and a reader shows the pages as they arrive. With several requests
// at once, that is faster. But this reader shows page 2 before page 1, if it arrives first.
//
// Return the pages in their order. Have at most `ahead` requests at once, and return each page as
// soon as it and all pages before it are there.
// `docs/patterns.md`, "With a bound".
#![allow(unused, reason = "you will use it")]

use futures::{Future, Stream, future, stream};
use kvs::KvsError;

fn main() {}

/// Returns the pages 1 to `count`, in their order. `get` makes the request for one of them.
fn pages<F: Future<Item = String, Error = KvsError>>(
    count: usize,
    get: impl FnMut(usize) -> F,
    ahead: usize,
) -> impl Stream<Item = String, Error = KvsError> {
    // TODO: in the order of the pages.
    stream::iter_ok(1..=count).map(get).buffer_unordered(ahead)
}

#[cfg(test)]
mod tests {
    use super::*;
    use kvs::client::anon::KvsClient;
    use std::cell::RefCell;
    use support::{Requests, Task, serve, within_time};

    /// Shows the five pages, with three requests at once.
    fn reader(
        server: &Requests<String>,
        shown: &RefCell<Vec<String>>,
    ) -> Task<impl Future<Item = (), Error = KvsError>> {
        let get = |page: usize| server.make(page.to_string());
        Task::new(pages(5, get, 3).for_each(|page| {
            shown.borrow_mut().push(page);
            Ok(())
        }))
    }

    fn answer(server: &Requests<String>, page: &str) {
        server.answer(page, Ok(page.to_owned()));
    }

    #[test]
    fn the_pages_have_their_order() {
        within_time(|| {
            let (server, shown) = (Requests::new(), RefCell::default());
            let mut task = reader(&server, &shown);
            task.expect_not_ready();
            assert_eq!(server.sent(), ["1", "2", "3"], "the first three requests");
            for page in ["2", "3", "1"] {
                answer(&server, page);
            }
            task.expect_not_ready();
            assert_eq!(
                *shown.borrow(),
                ["1", "2", "3"],
                "the pages, as they were shown"
            );
            answer(&server, "5");
            answer(&server, "4");
            task.finish().unwrap();
            assert_eq!(*shown.borrow(), ["1", "2", "3", "4", "5"], "all pages");
        });
    }

    #[test]
    fn a_page_is_shown_as_soon_as_those_before_it_are() {
        within_time(|| {
            let (server, shown) = (Requests::new(), RefCell::default());
            let mut task = reader(&server, &shown);
            task.expect_not_ready();
            answer(&server, "2");
            task.expect_not_ready();
            assert!(
                shown.borrow().is_empty(),
                "page 2 has arrived, but page 1 has to be shown first"
            );
            let wakes = task.wakes();
            answer(&server, "1");
            assert!(
                task.wakes() > wakes,
                "page 1 has arrived, and no wake-up came"
            );
            task.expect_not_ready();
            assert_eq!(
                *shown.borrow(),
                ["1", "2"],
                "the pages that were shown: do not wait for the others"
            );
        });
    }

    #[test]
    fn the_bound_is_kept_and_used() {
        within_time(|| {
            let (server, shown) = (Requests::new(), RefCell::default());
            let mut task = reader(&server, &shown);
            task.expect_not_ready();
            assert_eq!(
                server.running(),
                3,
                "requests at once, with a bound of three"
            );
            answer(&server, "1");
            task.expect_not_ready();
            assert_eq!(server.running(), 3, "requests at once, after one answer");
            assert_eq!(server.most(), 3, "requests at once, at most");
        });
    }

    #[test]
    fn it_works_with_a_server() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = KvsClient::connect(server.addr).wait().unwrap();
            for page in 1..=9 {
                let set = client.set(format!("page:{page}"), format!("text {page}"));
                set.wait().unwrap();
            }
            let get = |page| client.get(format!("page:{page}")).map(Option::unwrap);
            let book = pages(9, get, 4).collect().wait().unwrap();
            let expected: Vec<_> = (1..=9).map(|page| format!("text {page}")).collect();
            assert_eq!(book, expected, "the book");
        });
    }
}
