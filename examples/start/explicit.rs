//! Your client with explicit futures. `docs/part-3-explicit.md` leads you to it.
//!
//! `docs/client-api.md` says what each method promises, and why. Write `connect`, `set` and `get`
//! first, and run one test. Each `todo!()` that a test reaches fails that test.
//!
//! ```sh
//! cargo test --test NAME a_value_that_was_set_is_there
//! ```
//!
//! The return types below are too simple. Each becomes the type of the chain in its body, and you
//! find that type in the message of the compiler.
#![allow(unused, clippy::todo, reason = "the bodies are empty")]
#![allow(clippy::type_complexity, reason = "long types are the lesson")]

use std::net::SocketAddr;

use futures::future::{AndThen, FutureResult, Join, Map};
use futures::stream::Empty;
use futures::{Future, Stream, stream};
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
    /// Connects to the server at `addr`. [`Connection::open`] returns a future.
    pub fn connect(addr: SocketAddr) -> FutureResult<Self, KvsError> {
        todo!()
    }

    /// Returns the value of `key`, or `None` if the key does not exist.
    pub fn get(&mut self, key: String) -> FutureResult<Option<String>, KvsError> {
        todo!()
    }

    /// Stores `value` under `key`, and replaces the previous value.
    pub fn set(&mut self, key: String, value: String) -> FutureResult<(), KvsError> {
        todo!()
    }

    /// Removes `key` and its value.
    pub fn remove(&mut self, key: String) -> FutureResult<(), KvsError> {
        todo!()
    }

    /// Authenticates with a token. [`Token::reveal`] returns its text.
    pub fn auth(&mut self, token: &Token) -> FutureResult<(), KvsError> {
        todo!()
    }

    /// Returns all pairs whose keys begin with `prefix`: a task for later, see `docs/streams.md`.
    pub fn scan(&mut self, prefix: String) -> Empty<(String, String), KvsError> {
        todo!()
    }

    /// Sends a request and waits for its reply, which `take` converts. The methods above differ in
    /// the request and in `take`, such as [`Response::into_value`] or [`Response::into_done`].
    ///
    /// [`Connection::request`] returns two futures. The first resolves when the queue has taken the
    /// request, and the second resolves to the reply. A closure that owns the second one has no
    /// type that you can write. Which combinator owns both futures from the start?
    fn exchange<T>(
        &self,
        request: &Request,
        take: fn(((), Response)) -> Result<T>,
    ) -> FutureResult<T, KvsError> {
        todo!()
    }
}
