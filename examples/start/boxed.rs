//! Your client with boxed futures. `docs/part-2-boxed.md` leads you to it.
//!
//! `docs/client-api.md` says what each method promises, and why. Write `connect`, `set` and `get`
//! first, and run one test. Each `todo!()` that a test reaches fails that test.
//!
//! ```sh
//! cargo test --test NAME a_value_that_was_set_is_there
//! ```

#![allow(unused, clippy::todo, reason = "the bodies are empty")]

use std::net::SocketAddr;

use futures::{Future, Stream, stream};
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
    pub fn connect(addr: SocketAddr) -> Box<dyn Future<Item = Self, Error = KvsError> + Send> {
        todo!()
    }

    /// Returns the value of `key`, or `None` if the key does not exist.
    pub fn get(
        &mut self,
        key: String,
    ) -> Box<dyn Future<Item = Option<String>, Error = KvsError> + Send> {
        todo!()
    }

    /// Stores `value` under `key`, and replaces the previous value.
    pub fn set(
        &mut self,
        key: String,
        value: String,
    ) -> Box<dyn Future<Item = (), Error = KvsError> + Send> {
        todo!()
    }

    /// Removes `key` and its value.
    pub fn remove(&mut self, key: String) -> Box<dyn Future<Item = (), Error = KvsError> + Send> {
        todo!()
    }

    /// Authenticates with a token. [`Token::reveal`] returns its text.
    pub fn auth(&mut self, token: &Token) -> Box<dyn Future<Item = (), Error = KvsError> + Send> {
        todo!()
    }

    /// Returns all pairs whose keys begin with `prefix`: a task for later, see `docs/streams.md`.
    pub fn scan(
        &mut self,
        prefix: String,
    ) -> Box<dyn Stream<Item = (String, String), Error = KvsError> + Send> {
        todo!()
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
    ) -> Box<dyn Future<Item = T, Error = KvsError> + Send> {
        todo!()
    }
}
