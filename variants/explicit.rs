//! The client with explicit futures.
//!
//! # The lesson
//!
//! Every combinator's type has a name, so the type of a chain can be written out. This needs no
//! allocation, and one call through a function pointer. But the signature shows how the body works,
//! changes whenever the body changes, and soon is longer than the body.
//!
//! `docs/part-3-explicit.md` walks through this file.
//!
//! # The signature
//!
//! The type of a closure has no name. The type of a function pointer has one, and a closure that
//! captures nothing converts into a function pointer. The second parameter of `AndThen` is the
//! return type of that function. It can be a `Result`, because a `Result` converts into a future.
//!
//! # The two steps
//!
//! `sent.and_then(|()| reply)` is not possible, because that closure captures `reply`. So the chain
//! is another one: `join` owns both futures from the start and polls both. The reply cannot arrive
//! before the request is sent. The chain resolves to a pair, and the function takes it apart.

#![allow(
    clippy::type_complexity,
    reason = "long types are the lesson of this file"
)]

#[path = "streams/explicit.rs"]
mod scan;

use std::net::SocketAddr;

use futures::Future;
use futures::future::{AndThen, Join, Map};

pub use self::scan::{ClientPage, ClientPageFuture};
use crate::client::connection::{Connection, Opening, Receiving, Sending};
use crate::error::KvsError;
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
/// use kvs::client::explicit::KvsClient;
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
    pub fn connect(addr: SocketAddr) -> Map<Opening, fn(Connection) -> KvsClient> {
        let connected = Connection::open(addr);
        connected.map(|connection| KvsClient { connection })
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
    ) -> AndThen<
        Join<Sending, Receiving>,
        Result<Option<String>, KvsError>,
        fn(((), Response)) -> Result<Option<String>, KvsError>,
    > {
        self.exchange(&Request::Get { key }, |((), reply)| reply.into_value())
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
    ) -> AndThen<
        Join<Sending, Receiving>,
        Result<(), KvsError>,
        fn(((), Response)) -> Result<(), KvsError>,
    > {
        self.exchange(&Request::Set { key, value }, |((), reply)| {
            reply.into_done()
        })
    }

    /// Removes `key` and its value.
    ///
    /// # Errors
    ///
    /// Those of [`get`](KvsClient::get), and [`KvsError::KeyNotFound`] if the key does not exist.
    #[must_use = "futures do nothing unless polled"]
    pub fn remove(
        &mut self,
        key: String,
    ) -> AndThen<
        Join<Sending, Receiving>,
        Result<(), KvsError>,
        fn(((), Response)) -> Result<(), KvsError>,
    > {
        self.exchange(&Request::Remove { key }, |((), reply)| reply.into_done())
    }

    /// Authenticates with a token. If the server requires one, this has to be the first request.
    ///
    /// # Errors
    ///
    /// Those of [`get`](KvsClient::get), and [`KvsError::Server`] if the token is wrong.
    #[must_use = "futures do nothing unless polled"]
    pub fn auth(
        &mut self,
        token: &Token,
    ) -> AndThen<
        Join<Sending, Receiving>,
        Result<(), KvsError>,
        fn(((), Response)) -> Result<(), KvsError>,
    > {
        self.exchange(
            &Request::Auth {
                token: token.reveal(),
            },
            |((), reply)| reply.into_done(),
        )
    }

    /// Waits for room in the queue, then for the reply, and converts the reply with `take`.
    fn exchange<T>(
        &self,
        request: &Request,
        take: fn(((), Response)) -> Result<T, KvsError>,
    ) -> AndThen<
        Join<Sending, Receiving>,
        Result<T, KvsError>,
        fn(((), Response)) -> Result<T, KvsError>,
    > {
        let (sent, reply) = self.connection.request(request);
        sent.join(reply).and_then(take)
    }
}
