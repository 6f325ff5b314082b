//! The client with futures written by hand.
//!
//! # The lesson
//!
//! A future is a state machine: it remembers what it waits for, and `poll` goes on from there. What
//! combinators put together elsewhere is written out here. It costs nothing, and its name says
//! nothing of the body; but the mistakes are all ours.
//! `docs/by-hand.md` walks through this file.
//!
//! # The signature
//!
//! Each method returns a struct of its own.
//!
//! # The two steps
//!
//! They are the states of `Exchange`. A `poll` may answer `NotReady` only where something will wake
//! the task. Here that is always a future that has just answered `NotReady` itself: after each step
//! `poll` goes on to the next at once, until one has to wait. It takes the state out and puts it back
//! only to wait on: what a reply or an error leaves behind is `Done`.

use std::mem;
use std::net::SocketAddr;

use futures::{Async, Future, Poll, try_ready};

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
    /// Connects to the server at `addr`. Whatever runtime polls this has to go on running for the
    /// client to work; without one, a thread of the library's own does it.
    ///
    /// Fails with [`KvsError::Connect`] where no server is to be reached.
    pub fn connect(addr: SocketAddr) -> ClientConnectFuture {
        let connected = Connection::open(addr);
        ClientConnectFuture(Connect::WaitingForConnection(connected))
    }

    /// Comes out as the value of `key`, or as `None` where the key is not there.
    ///
    /// Fails with [`KvsError::Connection`] where the connection breaks, before or meanwhile, and
    /// with [`KvsError::Server`] where the server cannot do it.
    pub fn get(&mut self, key: String) -> ClientGetFuture {
        ClientGetFuture(self.exchange(&Request::Get { key }))
    }

    /// Stores `value` under `key`, in place of what was there.
    ///
    /// Fails as [`get`](KvsClient::get) does, and with [`KvsError::TooLarge`] where both together
    /// are more than a frame can hold.
    pub fn set(&mut self, key: String, value: String) -> ClientSetFuture {
        ClientSetFuture(self.exchange(&Request::Set { key, value }))
    }

    /// Removes `key` and its value.
    ///
    /// Fails with [`KvsError::KeyNotFound`] where the key is not there, and as
    /// [`get`](KvsClient::get) does.
    pub fn remove(&mut self, key: String) -> ClientRemoveFuture {
        ClientRemoveFuture(self.exchange(&Request::Remove { key }))
    }

    /// Shows the server a token, where it wants one. That has to be the first request.
    ///
    /// Fails with [`KvsError::Server`] where it is the wrong one, and as [`get`](KvsClient::get)
    /// does.
    pub fn auth(&mut self, token: &Token) -> ClientAuthFuture {
        ClientAuthFuture(self.exchange(&Request::Auth {
            token: token.reveal(),
        }))
    }

    /// Will wait for room in the queue, then for the reply.
    fn exchange(&self, request: &Request) -> Exchange {
        let (sent, reply) = self.connection.request(request);
        Exchange::WaitingForRoom { sent, reply }
    }
}

/// The future of [`KvsClient::connect`].
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
            Connect::Done => panic!("polled after it was done"),
        }
    }
}

/// The future of [`KvsClient::get`].
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

/// The future of [`KvsClient::set`].
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

/// The future of [`KvsClient::remove`].
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

/// The future of [`KvsClient::auth`].
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

/// A request and its reply, as far as they have come.
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
                Exchange::Done => panic!("polled after it was done"),
            }
        }
    }
}
