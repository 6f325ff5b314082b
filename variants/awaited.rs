//! The client with `async fn`.
//!
//! # The lesson
//!
//! The compiler writes the state machine: an `.await` is a state, and what is needed behind it is
//! kept in that state. `diff variants/anon.rs variants/awaited.rs` shows a chain and the straight
//! code that it becomes.
//!
//! # The signature
//!
//! What `use<>` kept out, an `async fn` keeps in: its future borrows `self`, so that a handle has one
//! request under way. A clone of the handle has another.
//!
//! # The two steps
//!
//! They are two lines. Since nothing runs before the first poll, the request is made only then, and
//! what it is made of is kept until the reply is there.

use std::net::SocketAddr;

use futures03::compat::Future01CompatExt;

use crate::client::connection::Connection;
use crate::error::KvsError;
use crate::protocol::{Request, Response};
use crate::token::Token;

/// A connection to a server. Clones share it, and every clone may have one request under way, whose
/// future borrows it. Requests take effect in the order in which they came to be queued: that of
/// their first polls, as long as nobody has to wait for room.
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
    /// Connects to the server at `addr`. Where a runtime of tokio 0.1 polls this, that has to go on
    /// running for the client to work; on any other executor, a thread of the library's own does it.
    ///
    /// # Errors
    ///
    /// [`KvsError::Connect`] where no server is to be reached.
    pub async fn connect(addr: SocketAddr) -> Result<Self, KvsError> {
        let connected = Connection::open(addr);
        let connection = connected.compat().await?;
        Ok(KvsClient { connection })
    }

    /// Comes out as the value of `key`, or as `None` where the key is not there.
    ///
    /// # Errors
    ///
    /// [`KvsError::Connection`] where the connection breaks, before or meanwhile, and
    /// [`KvsError::Server`] where the server cannot do it.
    pub async fn get(&mut self, key: String) -> Result<Option<String>, KvsError> {
        self.exchange(&Request::Get { key }, Response::into_value)
            .await
    }

    /// Stores `value` under `key`, in place of what was there.
    ///
    /// # Errors
    ///
    /// Those of [`get`](KvsClient::get), and [`KvsError::TooLarge`] where both together are more
    /// than a frame can hold.
    pub async fn set(&mut self, key: String, value: String) -> Result<(), KvsError> {
        self.exchange(&Request::Set { key, value }, Response::into_done)
            .await
    }

    /// Removes `key` and its value.
    ///
    /// # Errors
    ///
    /// [`KvsError::KeyNotFound`] where the key is not there, and those of [`get`](KvsClient::get).
    pub async fn remove(&mut self, key: String) -> Result<(), KvsError> {
        self.exchange(&Request::Remove { key }, Response::into_done)
            .await
    }

    /// Shows the server a token, where it wants one. That has to be the first request.
    ///
    /// # Errors
    ///
    /// [`KvsError::Server`] where it is the wrong one, and those of [`get`](KvsClient::get).
    pub async fn auth(&mut self, token: &Token) -> Result<(), KvsError> {
        self.exchange(
            &Request::Auth {
                token: token.reveal(),
            },
            Response::into_done,
        )
        .await
    }

    /// Waits for room in the queue, then for the reply, and takes from that what was asked for.
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
