//! The client with futures written by hand.
//!
//! # The lesson
//!
//! A future is a state machine: each `poll` continues from the state that the last one left. In the
//! other files, combinators build the state machine; here it is written out. It costs nothing, and
//! its name says nothing about the body. But every mistake is ours.
//!
//! `docs/by-hand.md` walks through this file.
//!
//! # The signature
//!
//! Each method returns its own struct.
//!
//! # The two steps
//!
//! They are the states of `Exchange`. A `poll` may return `NotReady` only if something will wake
//! the task. Here, an inner future that has just returned `NotReady` will: after each step, `poll`
//! continues with the next one at once, until an inner future is not ready. It takes the state out
//! and puts it back only to wait. After a reply or an error, the state is `Done`.

#[path = "streams/manual.rs"]
mod scan;

use std::mem;
use std::net::SocketAddr;

use futures::{Async, Future, Poll, try_ready};

pub use self::scan::ClientScanStream;
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
/// use kvs::client::manual::KvsClient;
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
    pub fn connect(addr: SocketAddr) -> ClientConnectFuture {
        let connected = Connection::open(addr);
        ClientConnectFuture(Connect::WaitingForConnection(connected))
    }

    /// Returns the value of `key`, or `None` if the key does not exist.
    ///
    /// # Errors
    ///
    /// [`KvsError::Connection`] if the connection breaks or is broken already, and
    /// [`KvsError::Server`] if the server replies with an error.
    pub fn get(&mut self, key: String) -> ClientGetFuture {
        ClientGetFuture(self.exchange(&Request::Get { key }))
    }

    /// Stores `value` under `key`, and replaces the previous value.
    ///
    /// # Errors
    ///
    /// Those of [`get`](KvsClient::get), and [`KvsError::TooLarge`] if key and value together do
    /// not fit into a frame.
    pub fn set(&mut self, key: String, value: String) -> ClientSetFuture {
        ClientSetFuture(self.exchange(&Request::Set { key, value }))
    }

    /// Removes `key` and its value.
    ///
    /// # Errors
    ///
    /// Those of [`get`](KvsClient::get), and [`KvsError::KeyNotFound`] if the key does not exist.
    pub fn remove(&mut self, key: String) -> ClientRemoveFuture {
        ClientRemoveFuture(self.exchange(&Request::Remove { key }))
    }

    /// Authenticates with a token. If the server requires one, this has to be the first request.
    ///
    /// # Errors
    ///
    /// Those of [`get`](KvsClient::get), and [`KvsError::Server`] if the token is wrong.
    pub fn auth(&mut self, token: &Token) -> ClientAuthFuture {
        ClientAuthFuture(self.exchange(&Request::Auth {
            token: token.reveal(),
        }))
    }

    /// Returns a future that waits for room in the queue, and then for the reply.
    fn exchange(&self, request: &Request) -> Exchange {
        let (sent, reply) = self.connection.request(request);
        Exchange::WaitingForRoom { sent, reply }
    }
}

/// The future that [`KvsClient::connect`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientConnectFuture(Connect);

#[derive(Debug)]
enum Connect {
    WaitingForConnection(Opening),
    Done,
}

impl Future for ClientConnectFuture {
    type Item = KvsClient;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<KvsClient, KvsError> {
        match mem::replace(&mut self.0, Connect::Done) {
            Connect::WaitingForConnection(mut connected) => match connected.poll()? {
                Async::Ready(connection) => Ok(Async::Ready(KvsClient { connection })),
                Async::NotReady => {
                    self.0 = Connect::WaitingForConnection(connected);
                    Ok(Async::NotReady)
                }
            },
            Connect::Done => panic!("polled after completion"),
        }
    }
}

/// The future that [`KvsClient::get`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientGetFuture(Exchange);

impl Future for ClientGetFuture {
    type Item = Option<String>;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<Option<String>, KvsError> {
        try_ready!(self.0.poll()).into_value().map(Async::Ready)
    }
}

/// The future that [`KvsClient::set`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientSetFuture(Exchange);

impl Future for ClientSetFuture {
    type Item = ();
    type Error = KvsError;

    fn poll(&mut self) -> Poll<(), KvsError> {
        try_ready!(self.0.poll()).into_done().map(Async::Ready)
    }
}

/// The future that [`KvsClient::remove`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientRemoveFuture(Exchange);

impl Future for ClientRemoveFuture {
    type Item = ();
    type Error = KvsError;

    fn poll(&mut self) -> Poll<(), KvsError> {
        try_ready!(self.0.poll()).into_done().map(Async::Ready)
    }
}

/// The future that [`KvsClient::auth`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientAuthFuture(Exchange);

impl Future for ClientAuthFuture {
    type Item = ();
    type Error = KvsError;

    fn poll(&mut self) -> Poll<(), KvsError> {
        try_ready!(self.0.poll()).into_done().map(Async::Ready)
    }
}

/// The state of a request and its reply.
#[derive(Debug)]
enum Exchange {
    WaitingForRoom { sent: Sending, reply: Receiving },
    WaitingForReply { reply: Receiving },
    Done,
}

impl Future for Exchange {
    type Item = Response;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<Response, KvsError> {
        loop {
            match mem::replace(self, Exchange::Done) {
                Exchange::WaitingForRoom { mut sent, reply } => match sent.poll()? {
                    Async::Ready(()) => *self = Exchange::WaitingForReply { reply },
                    Async::NotReady => {
                        *self = Exchange::WaitingForRoom { sent, reply };
                        return Ok(Async::NotReady);
                    }
                },
                Exchange::WaitingForReply { mut reply } => match reply.poll()? {
                    Async::Ready(response) => return Ok(Async::Ready(response)),
                    Async::NotReady => {
                        *self = Exchange::WaitingForReply { reply };
                        return Ok(Async::NotReady);
                    }
                },
                Exchange::Done => panic!("polled after completion"),
            }
        }
    }
}
