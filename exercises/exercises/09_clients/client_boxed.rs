// kvs's own client, with boxed futures: the skeleton that `cargo run --example start -- boxed` hands
// out. You have a `Connection`, which carries requests. The client on top of it is yours.
//
// TODO: write the body of each method but `scan`. Its exercise is `stream_boxed`, after these.
// Begin with `connect`, `exchange`, `set` and `get`. The tests stop at the first failure, and the
// last name in their output is a name in the tables of `docs/client-api.md`.
//
// `docs/part-2-boxed.md`, "A type for the future", and `docs/client-api.md`, "The methods".

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

fn main() {}

#[cfg(test)]
mod tests {
    use super::*;
    use support::{Task, serve, within_time};

    kvs::impl_client!(KvsClient, std::convert::identity);

    #[test]
    fn a_first_value_comes_back() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = Task::new(KvsClient::connect(server.addr)).finish().unwrap();
            let set = client.set("key".to_owned(), "value".to_owned());
            Task::new(set).finish().unwrap();
            let stored = Task::new(client.get("key".to_owned())).finish().unwrap();
            assert_eq!(stored.as_deref(), Some("value"), "the value on the server");
        });
    }

    /// The tests that `docs/client-api.md` names. The last name in the output is the one that fails.
    #[test]
    fn the_client_keeps_its_promises() {
        support::one_at_a_time!(KvsClient, requests_in_order);
        support::many_at_once!(KvsClient, requests_in_order);
    }
}
