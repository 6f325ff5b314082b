//! The client with std futures written by hand.
//!
//! # The lesson
//!
//! A std future is polled through a pin. Once it is pinned, neither it nor the futures in it move.
//!
//! `docs/pin.md` explains the diff of `manual.rs` and this file.
//!
//! # The signature
//!
//! Each method returns its own struct.
//!
//! # The two steps
//!
//! They are the states of `Exchange`, as in `manual.rs`, but each is polled in place. A `Pin` of
//! the state becomes a `Pin` of each field marked `#[pin]`, and a plain reference to each other
//! field. Before `reply` is polled, it is not marked and may move: `project_replace` moves it out.

#[path = "streams/pinned.rs"]
mod scan;

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures03::compat::{Compat01As03, Future01CompatExt};
use pin_project::pin_project;

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
    /// Connects to the server at `addr`.
    ///
    /// If a runtime of tokio 0.1 polls this future, the client works for as long as that runtime
    /// runs. Otherwise, a thread of the library drives the connection.
    ///
    /// # Errors
    ///
    /// [`KvsError::Connect`] if the server cannot be reached.
    pub fn connect(addr: SocketAddr) -> ClientConnectFuture {
        let connected = Connection::open(addr).compat();
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
        let (sent, reply) = (sent.compat(), reply.compat());
        Exchange::WaitingForRoom { sent, reply }
    }
}

/// The future that [`KvsClient::connect`] returns.
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
            ConnectProjection::Done => panic!("polled after completion"),
        }
    }
}

/// The future that [`KvsClient::get`] returns.
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

/// The future that [`KvsClient::set`] returns.
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

/// The future that [`KvsClient::remove`] returns.
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

/// The future that [`KvsClient::auth`] returns.
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

/// The state of a request and its reply.
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
                ExchangeProjection::Done => panic!("polled after completion"),
            }
        }
    }
}
