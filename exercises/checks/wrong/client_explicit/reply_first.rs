//! Fails: the_client_keeps_its_promises: a request that is too long returned

#![allow(clippy::type_complexity, reason = "long types are the lesson")]

use std::net::SocketAddr;

use futures::Future;
use futures::future::{AndThen, Join, Map};
use futures::stream::Empty;
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
    pub fn connect(addr: SocketAddr) -> Map<Opening, fn(Connection) -> KvsClient> {
        let connected = Connection::open(addr);
        connected.map(|connection| KvsClient { connection })
    }

    /// Returns the value of `key`, or `None` if the key does not exist.
    pub fn get(
        &mut self,
        key: String,
    ) -> AndThen<
        Join<Receiving, Sending>,
        Result<Option<String>>,
        fn((Response, ())) -> Result<Option<String>>,
    > {
        self.exchange(&Request::Get { key }, |(reply, ())| reply.into_value())
    }

    /// Stores `value` under `key`, and replaces the previous value.
    pub fn set(
        &mut self,
        key: String,
        value: String,
    ) -> AndThen<Join<Receiving, Sending>, Result<()>, fn((Response, ())) -> Result<()>> {
        self.exchange(&Request::Set { key, value }, |(reply, ())| {
            reply.into_done()
        })
    }

    /// Removes `key` and its value.
    pub fn remove(
        &mut self,
        key: String,
    ) -> AndThen<Join<Receiving, Sending>, Result<()>, fn((Response, ())) -> Result<()>> {
        self.exchange(&Request::Remove { key }, |(reply, ())| reply.into_done())
    }

    /// Authenticates with a token. [`Token::reveal`] returns its text.
    pub fn auth(
        &mut self,
        token: &Token,
    ) -> AndThen<Join<Receiving, Sending>, Result<()>, fn((Response, ())) -> Result<()>> {
        let token = token.reveal();
        self.exchange(&Request::Auth { token }, |(reply, ())| reply.into_done())
    }

    /// Returns all pairs whose keys begin with `prefix`: a task for later, as in the skeleton.
    pub fn scan(&mut self, _prefix: String) -> Empty<(String, String), KvsError> {
        unimplemented!()
    }

    /// Waits for room in the queue, then for the reply, and converts the reply with `take`.
    fn exchange<T>(
        &self,
        request: &Request,
        take: fn((Response, ())) -> Result<T>,
    ) -> AndThen<Join<Receiving, Sending>, Result<T>, fn((Response, ())) -> Result<T>> {
        let (sent, reply) = self.connection.request(request);
        reply.join(sent).and_then(take)
    }
}

fn main() {}
