//! The scan of the client with futures written by hand.
//!
//! # The lesson
//!
//! A stream is a state machine that goes round: after a page it is ready to ask for the next one.
//! It contains the state machine of a future, and is written in the same way. It costs nothing, and
//! its name says nothing about the body.
//!
//! `docs/streams.md` walks through this file.
//!
//! # The signature
//!
//! The method returns its own struct, which owns a clone of the client.
//!
//! # The two streams
//!
//! They are the two parts of `poll`. It first hands out a pair of the page that it has. If there is
//! none, it takes a step towards the next page, and then looks again, because a page may be empty.
//! It takes the state out and puts it back only to wait. After the last page or an error, the state
//! is `Done`, and stays so.

use std::{mem, vec};

use futures::{Async, Future, Poll, Stream};

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
    /// use futures::{Future, Stream};
    /// use kvs::client::manual::KvsClient;
    ///
    /// # let (addr, _server) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/doctest.rs"));
    /// let users = KvsClient::connect(addr).and_then(|mut client| {
    ///     let set = client.set("user:ada".to_owned(), "Lovelace".to_owned());
    ///     set.and_then(move |()| client.scan("user:".to_owned()).collect())
    /// });
    /// assert_eq!(users.wait()?, [("user:ada".to_owned(), "Lovelace".to_owned())]);
    /// # Ok::<(), kvs::KvsError>(())
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
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct ClientScanStream {
    client: KvsClient,
    pages: Pages,
    pairs: vec::IntoIter<(String, String)>,
    state: State,
}

#[derive(Debug)]
enum State {
    ReadyToAsk,
    WaitingForPage(Exchange),
    Done,
}

impl Stream for ClientScanStream {
    type Item = (String, String);
    type Error = KvsError;

    fn poll(&mut self) -> Poll<Option<(String, String)>, KvsError> {
        loop {
            if let Some(pair) = self.pairs.next() {
                return Ok(Async::Ready(Some(pair)));
            }
            match mem::replace(&mut self.state, State::Done) {
                State::ReadyToAsk => {
                    if let Some(request) = self.pages.request() {
                        self.state = State::WaitingForPage(self.client.exchange(&request));
                    }
                }
                State::WaitingForPage(mut page) => match page.poll()? {
                    Async::Ready(reply) => {
                        self.pairs = self.pages.receive(reply.into_page()?)?.into_iter();
                        self.state = State::ReadyToAsk;
                    }
                    Async::NotReady => {
                        self.state = State::WaitingForPage(page);
                        return Ok(Async::NotReady);
                    }
                },
                State::Done => return Ok(Async::Ready(None)),
            }
        }
    }
}
