//! The scan of the client with explicit futures.
//!
//! # The lesson
//!
//! The type of a stream of combinators can be written out too, and it is longer than that of a
//! future: the future of a page is a part of it, and occurs in it twice. An alias is a shorter
//! spelling of that future, but hides nothing: callers still depend on each part of it.
//!
//! `docs/streams.md` walks through this file.
//!
//! # The signature
//!
//! The stream owns a clone of the client, so it borrows nothing. The type shows that.
//!
//! # The two streams
//!
//! `unfold` makes a stream of pages: the closure turns `Pages`, the place of the scan, into the
//! future of a page, which resolves to the pairs and the next place. `flatten` makes a stream of
//! pairs from that. It asks for a page only when the page before has no more pairs. No closure may
//! capture anything here. So the client is part of the place, and `join3` takes the place through
//! the future: `ok` makes a future of it that has already completed.

#![allow(
    clippy::type_complexity,
    reason = "long types are the lesson of this file"
)]

use std::vec;

use futures::future::{AndThen, FutureResult, Join3, ok};
use futures::stream::{Flatten, IterOk, Unfold, iter_ok, unfold};
use futures::{Future, Stream};

use super::KvsClient;
use crate::client::Pages;
use crate::client::connection::{Receiving, Sending};
use crate::error::KvsError;
use crate::protocol::Response;

/// The future of a page in [`KvsClient::scan`].
pub type ClientPageFuture = AndThen<
    Join3<Sending, Receiving, FutureResult<(KvsClient, Pages), KvsError>>,
    Result<(ClientPage, (KvsClient, Pages)), KvsError>,
    fn(((), Response, (KvsClient, Pages))) -> Result<(ClientPage, (KvsClient, Pages)), KvsError>,
>;

/// The pairs of a page in [`KvsClient::scan`].
pub type ClientPage = IterOk<vec::IntoIter<(String, String)>, KvsError>;

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
    /// use kvs::client::explicit::KvsClient;
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
    ) -> Flatten<
        Unfold<
            (KvsClient, Pages),
            fn((KvsClient, Pages)) -> Option<ClientPageFuture>,
            ClientPageFuture,
        >,
    > {
        let ask: fn((KvsClient, Pages)) -> Option<ClientPageFuture> = |(client, pages)| {
            let (sent, reply) = client.connection.request(&pages.request()?);
            let page = sent.join3(reply, ok((client, pages)));
            Some(page.and_then(|((), reply, (client, mut pages))| {
                let pairs = pages.receive(reply.into_page()?)?;
                Ok((iter_ok(pairs), (client, pages)))
            }))
        };
        unfold((self.clone(), Pages::new(prefix)), ask).flatten()
    }
}
