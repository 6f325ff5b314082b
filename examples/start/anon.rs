//! Your client with anonymous futures. `docs/part-4-anonymous.md` leads you to it.
//!
//! `docs/client-api.md` says what each method promises, and why. Write `connect`, `set` and `get`
//! first, and run one test. Each body that a test reaches fails that test.
//!
//! ```sh
//! cargo test --test NAME a_value_that_was_set_is_there
//! ```
//!
//! A function that returns `impl Future` needs a body that returns some future. So the empty bodies
//! return one that panics when it is polled.
#![allow(unused, clippy::todo, reason = "the bodies are empty")]

use std::net::SocketAddr;

use futures::{Future, Stream, future, stream};
use kvs::client::Pages;
use kvs::client::connection::Connection;
use kvs::protocol::{Request, Response};
use kvs::{KvsError, Result, Token};

/// A handle to a connection. Its clones share the connection.
#[derive(Debug, Clone)]
pub struct KvsClient {
    connection: Connection,
}

impl KvsClient {
    /// Connects to the server at `addr`. [`Connection::open`] returns a future.
    pub fn connect(addr: SocketAddr) -> impl Future<Item = Self, Error = KvsError> + Send + use<> {
        future::lazy(unwritten)
    }

    /// Returns the value of `key`, or `None` if the key does not exist.
    pub fn get(
        &mut self,
        key: String,
    ) -> impl Future<Item = Option<String>, Error = KvsError> + Send + use<> {
        future::lazy(unwritten)
    }

    /// Stores `value` under `key`, and replaces the previous value.
    pub fn set(
        &mut self,
        key: String,
        value: String,
    ) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
        future::lazy(unwritten)
    }

    /// Removes `key` and its value.
    pub fn remove(
        &mut self,
        key: String,
    ) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
        future::lazy(unwritten)
    }

    /// Authenticates with a token. [`Token::reveal`] returns its text.
    pub fn auth(
        &mut self,
        token: &Token,
    ) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
        future::lazy(unwritten)
    }

    /// Returns all pairs whose keys begin with `prefix`: a task for later, see `docs/streams.md`.
    pub fn scan(
        &mut self,
        prefix: String,
    ) -> impl Stream<Item = (String, String), Error = KvsError> + Send + use<> {
        future::lazy(unwritten).into_stream()
    }

    /// Sends a request and waits for its reply, which `take` converts. The methods above differ in
    /// the request and in `take`, such as [`Response::into_value`] or [`Response::into_done`].
    ///
    /// [`Connection::request`] returns two futures. The first resolves when the queue has taken the
    /// request, and the second resolves to the reply. Poll the second after the first has resolved.
    fn exchange<T: Send + 'static>(
        &self,
        request: &Request,
        take: fn(Response) -> Result<T>,
    ) -> impl Future<Item = T, Error = KvsError> + Send + use<T> {
        future::lazy(unwritten)
    }
}

fn unwritten<T>() -> Result<T> {
    todo!()
}
