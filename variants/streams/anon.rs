//! The scan of the client with anonymous futures.
//!
//! # The lesson
//!
//! `impl Stream` keeps the type of the chain, hides its name, and costs nothing.
//!
//! `docs/streams.md` walks through this file.
//!
//! # The signature
//!
//! `use<>` says that the stream borrows nothing, although the method takes `&mut self`: it owns a
//! clone of the client.
//!
//! # The two streams
//!
//! `unfold` makes a stream of pages: the closure turns `Pages`, the place of the scan, into the
//! future of a page, which resolves to the pairs and the next place. `flatten` makes a stream of
//! pairs from that. It asks for a page only when the page before has no more pairs. The type of a
//! closure has no name, and here it needs none.

use futures::{Future, Stream, stream};

use super::KvsClient;
use crate::client::Pages;
use crate::error::KvsError;
use crate::protocol::Response;

impl KvsClient {
    /// Returns all pairs whose keys begin with `prefix`, in no particular order.
    ///
    /// A pair that exists from the beginning to the end of the scan is returned at least once, and
    /// exactly once if nothing is written meanwhile. A pair that is written or removed meanwhile
    /// may be returned or not.
    ///
    /// The stream asks the server for a page of pairs when it is polled and has none. So it holds
    /// at most one page, and if you stop polling it, it asks for no other. If it is dropped while
    /// it waits for a page, that page is discarded.
    ///
    /// # Errors
    ///
    /// Those of [`get`](KvsClient::get). After an error, the stream ends.
    ///
    /// # Examples
    ///
    /// ```
    /// use futures::{Future, Stream};
    /// use kvs::client::anon::KvsClient;
    ///
    /// # let (addr, _server) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/doctest.rs"));
    /// let users = KvsClient::connect(addr).and_then(|mut client| {
    ///     let set = client.set("user:ada".to_owned(), "Lovelace".to_owned());
    ///     set.and_then(move |()| client.scan("user:".to_owned()).collect())
    /// });
    /// assert_eq!(users.wait()?, [("user:ada".to_owned(), "Lovelace".to_owned())]);
    /// # Ok::<(), kvs::KvsError>(())
    /// ```
    #[must_use = "streams do nothing unless polled"]
    pub fn scan(
        &mut self,
        prefix: String,
    ) -> impl Stream<Item = (String, String), Error = KvsError> + Send + use<> {
        let client = self.clone();
        let pages = stream::unfold(Pages::new(prefix), move |mut pages| {
            let page = client.exchange(&pages.request()?, Response::into_page);
            Some(page.and_then(move |page| Ok((pages.receive(page)?, pages))))
        });
        pages.map(stream::iter_ok).flatten()
    }
}
