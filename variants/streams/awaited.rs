//! The scan of the client with `async fn`.
//!
//! # The lesson
//!
//! There is no `async fn` for streams. But `try_unfold` makes a stream from a function that returns
//! a future, and the compiler writes the state machine of that future from an `async` block.
//!
//! `docs/six.md` walks through this file.
//!
//! # The signature
//!
//! `use<>` says that the stream borrows nothing, although the method takes `&mut self`: it owns a
//! clone of the client.
//!
//! # The two streams
//!
//! They are one loop. `try_unfold` calls the closure for each pair. The block that the closure
//! returns takes a state, and resolves to a pair and the next state: the client, the place of the
//! scan, and the rest of the page. It asks for a page only when the page before has no more pairs.
//! The block may not borrow from the closure, so the client is part of the state.

use futures03::{Stream, stream};

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
    /// use std::pin::pin;
    ///
    /// use futures03::TryStreamExt;
    /// use kvs::client::awaited::KvsClient;
    ///
    /// # let (addr, _server) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/doctest.rs"));
    /// # futures03::executor::block_on(async {
    /// let mut client = KvsClient::connect(addr).await?;
    /// client.set("user:ada".to_owned(), "Lovelace".to_owned()).await?;
    /// let mut users = pin!(client.scan("user:".to_owned()));
    /// while let Some((key, value)) = users.try_next().await? {
    ///     assert_eq!((&*key, &*value), ("user:ada", "Lovelace"));
    /// }
    /// # Ok::<(), kvs::KvsError>(())
    /// # }).unwrap();
    /// ```
    #[must_use = "streams do nothing unless polled"]
    pub fn scan(
        &mut self,
        prefix: String,
    ) -> impl Stream<Item = Result<(String, String), KvsError>> + Send + use<> {
        let start = (self.clone(), Pages::new(prefix), Vec::new().into_iter());
        stream::try_unfold(start, |(client, mut pages, mut pairs)| async move {
            loop {
                if let Some(pair) = pairs.next() {
                    return Ok(Some((pair, (client, pages, pairs))));
                }
                let Some(request) = pages.request() else {
                    return Ok(None);
                };
                let page = client.exchange(&request, Response::into_page).await?;
                pairs = pages.receive(page)?.into_iter();
            }
        })
    }
}
