//! The client with boxed futures.
//!
//! # The lesson
//!
//! A box hides the type of the chain. It costs an allocation, and a virtual call at each poll.
//!
//! `docs/part-2-boxed.md` walks through this file.
//!
//! # The signature
//!
//! `Send` has to be written, because the box hides that too. A boxed future borrows nothing unless
//! its type says so.
//!
//! # The two steps
//!
//! The closure owns the future of the reply. The type of a closure has no name, and here it needs
//! none.

#[path = "streams/boxed.rs"]
mod scan;

use std::net::SocketAddr;

use futures::Future;

use crate::client::connection::Connection;
use crate::error::{KvsError, Result};
use crate::protocol::{Request, Response};
use crate::token::Token;

/// A connection to a server. Clones share it, and each of them can have any number of requests
/// pending at once. Requests take effect in the order in which they enter the queue. While the
/// queue has room, that is the order of their first polls.
///
/// A future does nothing until it is polled. If it is dropped before that, nothing is sent. If it
/// is dropped later, its request may or may not take effect, and the reply is discarded. A future
/// that is polled once and then left alone may delay other requests.
///
/// The connection closes when the clones and all their futures have been dropped.
///
/// # Examples
///
/// ```
/// use futures::Future;
/// use kvs::client::boxed::KvsClient;
///
/// # let (addr, _server) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/doctest.rs"));
/// let value = KvsClient::connect(addr).and_then(|mut client| {
///     let set = client.set("key".to_owned(), "value".to_owned());
///     set.and_then(move |()| client.get("key".to_owned()))
/// });
/// assert_eq!(value.wait()?, Some("value".to_owned()));
/// # Ok::<(), kvs::KvsError>(())
/// ```
#[derive(Debug, Clone)]
pub struct KvsClient {
    connection: Connection,
}

impl KvsClient {
    /// Connects to the server at `addr`.
    ///
    /// If a runtime of tokio 0.1 polls this future, the client works for as long as that runtime
    /// runs. Otherwise, a thread of the library drives the connection.
    ///
    /// # Errors
    ///
    /// [`KvsError::Connect`] if the server cannot be reached.
    #[must_use = "futures do nothing unless polled"]
    pub fn connect(addr: SocketAddr) -> Box<dyn Future<Item = Self, Error = KvsError> + Send> {
        let connected = Connection::open(addr);
        Box::new(connected.map(|connection| KvsClient { connection }))
    }

    /// Returns the value of `key`, or `None` if the key does not exist.
    ///
    /// # Errors
    ///
    /// [`KvsError::Connection`] if the connection breaks or is broken already, and
    /// [`KvsError::Server`] if the server replies with an error.
    #[must_use = "futures do nothing unless polled"]
    pub fn get(
        &mut self,
        key: String,
    ) -> Box<dyn Future<Item = Option<String>, Error = KvsError> + Send> {
        self.exchange(&Request::Get { key }, Response::into_value)
    }

    /// Stores `value` under `key`, and replaces the previous value.
    ///
    /// # Errors
    ///
    /// Those of [`get`](KvsClient::get), and [`KvsError::TooLarge`] if key and value together do
    /// not fit into a frame.
    #[must_use = "futures do nothing unless polled"]
    pub fn set(
        &mut self,
        key: String,
        value: String,
    ) -> Box<dyn Future<Item = (), Error = KvsError> + Send> {
        self.exchange(&Request::Set { key, value }, Response::into_done)
    }

    /// Removes `key` and its value.
    ///
    /// # Errors
    ///
    /// Those of [`get`](KvsClient::get), and [`KvsError::KeyNotFound`] if the key does not exist.
    #[must_use = "futures do nothing unless polled"]
    pub fn remove(&mut self, key: String) -> Box<dyn Future<Item = (), Error = KvsError> + Send> {
        self.exchange(&Request::Remove { key }, Response::into_done)
    }

    /// Authenticates with a token. If the server requires one, this has to be the first request.
    ///
    /// # Errors
    ///
    /// Those of [`get`](KvsClient::get), and [`KvsError::Server`] if the token is wrong.
    #[must_use = "futures do nothing unless polled"]
    pub fn auth(&mut self, token: &Token) -> Box<dyn Future<Item = (), Error = KvsError> + Send> {
        self.exchange(
            &Request::Auth {
                token: token.reveal(),
            },
            Response::into_done,
        )
    }

    /// Waits for room in the queue, then for the reply, and converts the reply with `take`.
    fn exchange<T: Send + 'static>(
        &self,
        request: &Request,
        take: fn(Response) -> Result<T>,
    ) -> Box<dyn Future<Item = T, Error = KvsError> + Send> {
        let (sent, reply) = self.connection.request(request);
        Box::new(sent.and_then(|()| reply).and_then(take))
    }
}
