//! The client with anonymous futures.
//!
//! # The lesson
//!
//! `impl Future` keeps the type of the chain and hides its name, and costs nothing.
//! `docs/part-4-anonymous.md` walks through this file.
//!
//! # The signature
//!
//! `use<>` says that it borrows nothing, as `&mut self` would make it: many can be under way.
//!
//! # The two steps
//!
//! The closure takes the reply's future along. The type of a closure has no name; here it needs
//! none.

use std::net::SocketAddr;

use futures::Future;

use crate::client::connection::Connection;
use crate::error::{KvsError, Result};
use crate::protocol::{Request, Response};
use crate::token::Token;

/// A connection to a server. Clones share it, and every clone may have any number of requests
/// under way at once. They take effect in the order in which they came to be queued: that of their
/// first polls, as long as nobody has to wait for room.
///
/// A future does nothing before it is polled. Dropped before that, it leaves no trace. Dropped
/// later, its request may or may not take effect, and the reply is discarded. Put aside after a
/// poll, it may keep others from their turn.
///
/// The connection closes when the last clone is gone and the last of their futures.
///
/// # Examples
///
/// ```
/// use futures::Future;
/// use kvs::client::anon::KvsClient;
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
    /// Connects to the server at `addr`. Whatever runtime polls this has to go on running for the
    /// client to work; without one, a thread of the library's own does it.
    ///
    /// Fails with [`KvsError::Connect`] where no server is to be reached.
    #[must_use = "futures do nothing unless polled"]
    pub fn connect(addr: SocketAddr) -> impl Future<Item = Self, Error = KvsError> + Send + use<> {
        let connected = Connection::open(addr);
        connected.map(|connection| KvsClient { connection })
    }

    /// Comes out as the value of `key`, or as `None` where the key is not there.
    ///
    /// Fails with [`KvsError::Connection`] where the connection breaks, before or meanwhile, and
    /// with [`KvsError::Server`] where the server cannot do it.
    #[must_use = "futures do nothing unless polled"]
    pub fn get(
        &mut self,
        key: String,
    ) -> impl Future<Item = Option<String>, Error = KvsError> + Send + use<> {
        self.exchange(&Request::Get { key }, Response::into_value)
    }

    /// Stores `value` under `key`, in place of what was there.
    ///
    /// Fails as [`get`](KvsClient::get) does, and with [`KvsError::TooLarge`] where both together
    /// are more than a frame can hold.
    #[must_use = "futures do nothing unless polled"]
    pub fn set(
        &mut self,
        key: String,
        value: String,
    ) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
        self.exchange(&Request::Set { key, value }, Response::into_done)
    }

    /// Removes `key` and its value.
    ///
    /// Fails with [`KvsError::KeyNotFound`] where the key is not there, and as
    /// [`get`](KvsClient::get) does.
    #[must_use = "futures do nothing unless polled"]
    pub fn remove(
        &mut self,
        key: String,
    ) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
        self.exchange(&Request::Remove { key }, Response::into_done)
    }

    /// Shows the server a token, where it wants one. That has to be the first request.
    ///
    /// Fails with [`KvsError::Server`] where it is the wrong one, and as [`get`](KvsClient::get)
    /// does.
    #[must_use = "futures do nothing unless polled"]
    pub fn auth(
        &mut self,
        token: &Token,
    ) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
        self.exchange(
            &Request::Auth {
                token: token.reveal(),
            },
            Response::into_done,
        )
    }

    /// Waits for room in the queue, then for the reply, and takes from that what was asked for.
    fn exchange<T: Send + 'static>(
        &self,
        request: &Request,
        take: fn(Response) -> Result<T>,
    ) -> impl Future<Item = T, Error = KvsError> + Send + use<T> {
        let (sent, reply) = self.connection.request(request);
        sent.and_then(|()| reply).and_then(take)
    }
}
