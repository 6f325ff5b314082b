//! The client with explicit futures.
//!
//! # The lesson
//!
//! Every combinator's type has a name, so that of a chain can be written out: no allocation, and no
//! virtual call but one through a function pointer. But the signature shows how the body works,
//! changes whenever that does, and soon is longer than it.
//! `docs/part-3-explicit.md` walks through this file.
//!
//! # The signature
//!
//! The type of a closure has no name. That of a function pointer has one, and a closure that captures
//! nothing becomes a pointer. The second parameter of `AndThen` is what the function returns; a
//! `Result` will do, since it can be made a future.
//!
//! # The two steps
//!
//! `sent.and_then(|()| reply)` is out of reach, because that closure captures `reply`. So the chain
//! is rebuilt: `join` holds both futures from the beginning and polls both, and the reply cannot
//! come before the request has gone. What comes out is a pair, for the pointer to take apart.

// True, and the point of this file.
#![allow(clippy::type_complexity)]

use std::net::SocketAddr;

use futures::Future;
use futures::future::{AndThen, Join, Map};

use crate::client::connection::{Connection, Opening, Receiving, Sending};
use crate::error::KvsError;
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
    /// Connects to the server at `addr`. Whatever runtime polls this has to go on running for the
    /// client to work; without one, a thread of the library's own does it.
    ///
    /// Fails with [`KvsError::Connect`] where no server is to be reached.
    #[must_use = "futures do nothing unless polled"]
    pub fn connect(addr: SocketAddr) -> Map<Opening, fn(Connection) -> KvsClient> {
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
    ) -> AndThen<
        Join<Sending, Receiving>,
        Result<Option<String>, KvsError>,
        fn(((), Response)) -> Result<Option<String>, KvsError>,
    > {
        self.exchange(&Request::Get { key }, |((), reply)| reply.into_value())
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
    /// Fails with [`KvsError::KeyNotFound`] where the key is not there, and as
    /// [`get`](KvsClient::get) does.
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

    /// Shows the server a token, where it wants one. That has to be the first request.
    ///
    /// Fails with [`KvsError::Server`] where it is the wrong one, and as [`get`](KvsClient::get)
    /// does.
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

    /// Waits for room in the queue, then for the reply, and takes from that what was asked for.
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
