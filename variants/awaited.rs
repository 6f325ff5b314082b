//! The client with `async fn`.
//!
//! # The lesson
//!
//! The compiler writes the state machine: each `.await` is a state, which keeps the variables that
//! the code after it needs. `diff variants/anon.rs variants/awaited.rs` shows a chain and the
//! straight code that it becomes.
//!
//! `docs/six.md` explains that diff.
//!
//! # The signature
//!
//! An `async fn` has no `use<>`: its future borrows `self`, so a handle has one request pending at
//! a time. A clone of the handle can have another.
//!
//! # The two steps
//!
//! They are two lines. Nothing runs before the first poll, so the request is encoded only then. The
//! future keeps the request until the reply arrives.

#[path = "streams/awaited.rs"]
mod scan;

use std::net::SocketAddr;

use futures03::compat::Future01CompatExt;

use crate::client::connection::Connection;
use crate::error::KvsError;
use crate::protocol::{Request, Response};
use crate::token::Token;

/// A connection to a server. Clones share it, and each of them can have one request pending,
/// because its future borrows the clone. Requests take effect in the order in which they enter the
/// queue. While the queue has room, that is the order of their first polls.
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
/// use kvs::client::awaited::KvsClient;
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
    pub async fn connect(addr: SocketAddr) -> Result<Self, KvsError> {
        let connected = Connection::open(addr);
        let connection = connected.compat().await?;
        Ok(KvsClient { connection })
    }

    /// Returns the value of `key`, or `None` if the key does not exist.
    ///
    /// # Errors
    ///
    /// [`KvsError::Connection`] if the connection breaks or is broken already, and
    /// [`KvsError::Server`] if the server replies with an error.
    pub async fn get(&mut self, key: String) -> Result<Option<String>, KvsError> {
        self.exchange(&Request::Get { key }, Response::into_value)
            .await
    }

    /// Stores `value` under `key`, and replaces the previous value.
    ///
    /// # Errors
    ///
    /// Those of [`get`](KvsClient::get), and [`KvsError::TooLarge`] if key and value together do
    /// not fit into a frame.
    pub async fn set(&mut self, key: String, value: String) -> Result<(), KvsError> {
        self.exchange(&Request::Set { key, value }, Response::into_done)
            .await
    }

    /// Removes `key` and its value.
    ///
    /// # Errors
    ///
    /// Those of [`get`](KvsClient::get), and [`KvsError::KeyNotFound`] if the key does not exist.
    pub async fn remove(&mut self, key: String) -> Result<(), KvsError> {
        self.exchange(&Request::Remove { key }, Response::into_done)
            .await
    }

    /// Authenticates with a token. If the server requires one, this has to be the first request.
    ///
    /// # Errors
    ///
    /// Those of [`get`](KvsClient::get), and [`KvsError::Server`] if the token is wrong.
    pub async fn auth(&mut self, token: &Token) -> Result<(), KvsError> {
        self.exchange(
            &Request::Auth {
                token: token.reveal(),
            },
            Response::into_done,
        )
        .await
    }

    /// Waits for room in the queue, then for the reply, and converts the reply with `take`.
    async fn exchange<T>(
        &self,
        request: &Request,
        take: fn(Response) -> Result<T, KvsError>,
    ) -> Result<T, KvsError> {
        let (sent, reply) = self.connection.request(request);
        sent.compat().await?;
        take(reply.compat().await?)
    }
}
