//! The client with std futures written by hand.
//!
//! # The lesson
//!
//! A future is a state machine: it remembers what it waits for, and `poll` goes on from there. A
//! future of the standard library is pinned besides: from its first poll on it stays where it is,
//! and so do those inside it. `docs/pin.md` goes through the diff of `manual.rs` and this file.
//!
//! # The signature
//!
//! Each method returns a struct of its own.
//!
//! # The two steps
//!
//! They are the states of `Exchange`. A `poll` may answer `Pending` only where something will wake
//! the task. Here that is always a future that has just answered `Pending` itself: after each step
//! `poll` goes on to the next at once, until one has to wait. It polls the state where it is, and
//! replaces it when that is over: what a reply or an error leaves behind is `Done`.
//!
//! # The projection
//!
//! A `Pin` of the whole becomes one of each field that is marked `#[pin]`, and a plain reference to
//! each other. `reply` is not marked while it waits for its turn: nobody has polled it yet, so it may
//! still move, and `project_replace` hands it over. Once it is polled it is marked. The futures of
//! the connection would put up with being moved, and `Unpin` says so; this file does not make use of
//! it, and would hold any others as well.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures03::compat::{Compat01As03, Future01CompatExt};
use pin_project::pin_project;

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
/// use kvs::client::pinned::KvsClient;
///
/// # let (addr, _server) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/doctest.rs"));
/// # futures03::executor::block_on(async {
/// let mut client = KvsClient::connect(addr).await?;
/// client.set("key".to_owned(), "value".to_owned()).await?;
/// assert_eq!(client.get("key".to_owned()).await?, Some("value".to_owned()));
/// # Ok::<(), kvs::KvsError>(())
/// # }).unwrap();
/// ```
#[derive(Debug, Clone)]
pub struct KvsClient {
    connection: Connection,
}

impl KvsClient {
    /// Connects to the server at `addr`. Where a runtime of tokio 0.1 polls this, that has to go on
    /// running for the client to work; on any other executor, a thread of the library's own does it.
    ///
    /// Fails with [`KvsError::Connect`] where no server is to be reached.
    pub fn connect(addr: SocketAddr) -> ClientConnectFuture {
        let connected = Connection::open(addr).compat();
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
        let (sent, reply) = (sent.compat(), reply.compat());
        Exchange::WaitingForRoom { sent, reply }
    }
}

/// The future of [`KvsClient::connect`].
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientConnectFuture(#[pin] Connect);

#[pin_project(project = ConnectProjection)]
#[derive(Debug)]
enum Connect {
    WaitingForConnection(#[pin] Compat01As03<Opening>),
    Done,
}

impl Future for ClientConnectFuture {
    type Output = Result<KvsClient, KvsError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<KvsClient, KvsError>> {
        let mut state = self.project().0;
        match state.as_mut().project() {
            ConnectProjection::WaitingForConnection(connected) => {
                let connection = ready!(connected.poll(cx));
                state.set(Connect::Done);
                Poll::Ready(connection.map(|connection| KvsClient { connection }))
            }
            ConnectProjection::Done => panic!("polled after it was done"),
        }
    }
}

/// The future of [`KvsClient::get`].
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientGetFuture(#[pin] Exchange);

impl Future for ClientGetFuture {
    type Output = Result<Option<String>, KvsError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Option<String>, KvsError>> {
        Poll::Ready(ready!(self.project().0.poll(cx))?.into_value())
    }
}

/// The future of [`KvsClient::set`].
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientSetFuture(#[pin] Exchange);

impl Future for ClientSetFuture {
    type Output = Result<(), KvsError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), KvsError>> {
        Poll::Ready(ready!(self.project().0.poll(cx))?.into_done())
    }
}

/// The future of [`KvsClient::remove`].
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientRemoveFuture(#[pin] Exchange);

impl Future for ClientRemoveFuture {
    type Output = Result<(), KvsError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), KvsError>> {
        Poll::Ready(ready!(self.project().0.poll(cx))?.into_done())
    }
}

/// The future of [`KvsClient::auth`].
#[pin_project]
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientAuthFuture(#[pin] Exchange);

impl Future for ClientAuthFuture {
    type Output = Result<(), KvsError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), KvsError>> {
        Poll::Ready(ready!(self.project().0.poll(cx))?.into_done())
    }
}

/// A request and its reply, as far as they have come.
#[pin_project(project = ExchangeProjection, project_replace = ExchangeReplaced)]
#[derive(Debug)]
enum Exchange {
    WaitingForRoom {
        #[pin]
        sent: Compat01As03<Sending>,
        reply: Compat01As03<Receiving>,
    },
    WaitingForReply {
        #[pin]
        reply: Compat01As03<Receiving>,
    },
    Done,
}

impl Future for Exchange {
    type Output = Result<Response, KvsError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<Response, KvsError>> {
        loop {
            match self.as_mut().project() {
                ExchangeProjection::WaitingForRoom { sent, .. } => {
                    let sent = ready!(sent.poll(cx));
                    let replaced = self.as_mut().project_replace(Exchange::Done);
                    sent?;
                    if let ExchangeReplaced::WaitingForRoom { reply, .. } = replaced {
                        self.set(Exchange::WaitingForReply { reply });
                    }
                }
                ExchangeProjection::WaitingForReply { reply } => {
                    let response = ready!(reply.poll(cx));
                    self.set(Exchange::Done);
                    return Poll::Ready(response);
                }
                ExchangeProjection::Done => panic!("polled after it was done"),
            }
        }
    }
}
