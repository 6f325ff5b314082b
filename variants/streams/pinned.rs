//! The scan of the client with std futures written by hand.
//!
//! # The lesson
//!
//! A stream is a state machine that goes round: after a page it is ready to ask for the next one.
//! It contains the state machine of a future. That future must not move once it is pinned, so the
//! stream is pinned too.
//!
//! `docs/six.md` walks through this file.
//!
//! # The signature
//!
//! The method returns its own struct, which owns a clone of the client.
//!
//! # The two streams
//!
//! They are the two parts of `poll`. It first hands out a pair of the page that it has. If there is
//! none, it takes a step towards the next page, and then looks again, because a page may be empty.
//! It polls the state in place, and replaces it after the step. After the last page or an error,
//! the state is `Done`, and stays so.
//!
//! # The projection
//!
//! Only the state is marked `#[pin]`, and in it the future of the page. The other fields may move.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::vec;

use futures03::Stream;
use pin_project::pin_project;

use super::{Exchange, KvsClient};
use crate::client::Pages;
use crate::error::KvsError;

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
    /// use kvs::client::pinned::KvsClient;
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
    pub fn scan(&mut self, prefix: String) -> ClientScanStream {
        ClientScanStream {
            client: self.clone(),
            pages: Pages::new(prefix),
            pairs: Vec::new().into_iter(),
            state: State::ReadyToAsk,
        }
    }
}

/// The stream that [`KvsClient::scan`] returns.
#[pin_project]
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct ClientScanStream {
    client: KvsClient,
    pages: Pages,
    pairs: vec::IntoIter<(String, String)>,
    #[pin]
    state: State,
}

#[allow(
    clippy::large_enum_variant,
    reason = "it is made once, and a box would cost an allocation for each page"
)]
#[pin_project(project = StateProjection)]
#[derive(Debug)]
enum State {
    ReadyToAsk,
    WaitingForPage(#[pin] Exchange),
    Done,
}

impl Stream for ClientScanStream {
    type Item = Result<(String, String), KvsError>;

    fn poll_next(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(String, String), KvsError>>> {
        let mut this = self.project();
        loop {
            if let Some(pair) = this.pairs.next() {
                return Poll::Ready(Some(Ok(pair)));
            }
            match this.state.as_mut().project() {
                StateProjection::ReadyToAsk => {
                    this.state.set(State::Done);
                    if let Some(request) = this.pages.request() {
                        let page = this.client.exchange(&request);
                        this.state.set(State::WaitingForPage(page));
                    }
                }
                StateProjection::WaitingForPage(page) => {
                    let reply = ready!(page.poll(cx));
                    this.state.set(State::Done);
                    *this.pairs = this.pages.receive(reply?.into_page()?)?.into_iter();
                    this.state.set(State::ReadyToAsk);
                }
                StateProjection::Done => return Poll::Ready(None),
            }
        }
    }
}
