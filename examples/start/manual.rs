//! Your client with futures written by hand. `docs/by-hand.md` leads you to it.
//!
//! `docs/client-api.md` says what each method promises, and why. Write `connect`, `set` and `get`
//! first, and run one test. Each `todo!()` that a test reaches fails that test.
//!
//! ```sh
//! cargo test --test NAME a_value_that_was_set_is_there
//! ```
//!
//! The structs may have the fields that you like, and `Exchange` the states that you need.
#![allow(unused, clippy::todo, reason = "the bodies are empty")]

use std::mem;
use std::net::SocketAddr;

use futures::{Async, Future, Poll, Stream, try_ready};
use kvs::client::Pages;
use kvs::client::connection::{Connection, Opening, Receiving, Sending};
use kvs::protocol::{Request, Response};
use kvs::{KvsError, Result, Token};

/// A handle to a connection. Its clones share the connection.
#[derive(Debug, Clone)]
pub struct KvsClient {
    connection: Connection,
}

impl KvsClient {
    /// Connects to the server at `addr`. [`Connection::open`] returns a future, an [`Opening`].
    pub fn connect(addr: SocketAddr) -> ClientConnectFuture {
        todo!()
    }

    /// Returns the value of `key`, or `None` if the key does not exist.
    pub fn get(&mut self, key: String) -> ClientGetFuture {
        todo!()
    }

    /// Stores `value` under `key`, and replaces the previous value.
    pub fn set(&mut self, key: String, value: String) -> ClientSetFuture {
        todo!()
    }

    /// Removes `key` and its value.
    pub fn remove(&mut self, key: String) -> ClientRemoveFuture {
        todo!()
    }

    /// Authenticates with a token. [`Token::reveal`] returns its text.
    pub fn auth(&mut self, token: &Token) -> ClientAuthFuture {
        todo!()
    }

    /// Returns all pairs whose keys begin with `prefix`: a task for later, see `docs/streams.md`.
    pub fn scan(&mut self, prefix: String) -> ClientScanStream {
        todo!()
    }

    /// Returns the future of a request and its reply. [`Connection::request`] returns two futures.
    /// The first resolves when the queue has taken the request, and the second resolves to the
    /// reply. Poll the second after the first has resolved.
    fn exchange(&self, request: &Request) -> Exchange {
        todo!()
    }
}

/// The state of a request and its reply.
#[derive(Debug)]
enum Exchange {
    Done,
}

impl Future for Exchange {
    type Item = Response;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<Response, KvsError> {
        todo!()
    }
}

/// The future that [`KvsClient::connect`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientConnectFuture;

impl Future for ClientConnectFuture {
    type Item = KvsClient;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<KvsClient, KvsError> {
        todo!()
    }
}

/// The future that [`KvsClient::get`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientGetFuture;

impl Future for ClientGetFuture {
    type Item = Option<String>;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<Option<String>, KvsError> {
        todo!()
    }
}

/// The future that [`KvsClient::set`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientSetFuture;

impl Future for ClientSetFuture {
    type Item = ();
    type Error = KvsError;

    fn poll(&mut self) -> Poll<(), KvsError> {
        todo!()
    }
}

/// The future that [`KvsClient::remove`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientRemoveFuture;

impl Future for ClientRemoveFuture {
    type Item = ();
    type Error = KvsError;

    fn poll(&mut self) -> Poll<(), KvsError> {
        todo!()
    }
}

/// The future that [`KvsClient::auth`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientAuthFuture;

impl Future for ClientAuthFuture {
    type Item = ();
    type Error = KvsError;

    fn poll(&mut self) -> Poll<(), KvsError> {
        todo!()
    }
}

/// The stream that [`KvsClient::scan`] returns.
#[derive(Debug)]
#[must_use = "streams do nothing unless polled"]
pub struct ClientScanStream;

impl Stream for ClientScanStream {
    type Item = (String, String);
    type Error = KvsError;

    fn poll(&mut self) -> Poll<Option<(String, String)>, KvsError> {
        todo!()
    }
}
