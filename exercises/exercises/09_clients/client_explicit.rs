// kvs's own client, with the types of its chains written out: the skeleton that
// `cargo run --example start -- explicit` hands out. The return types below are too simple.
//
// TODO: write the body of each method but `scan`, and replace each `FutureResult` by the type of the
// chain in the body. The compiler prints that type. Begin with `connect`, `exchange`, `get` and
// `set`, and copy the type of `set` to the others at the end. In this file, `Result<T>` is
// `kvs::Result`: it stands for the `Result<T, KvsError>` that the page and the compiler write.
// The tests stop at the first failure, and the last name in their output is a name in the tables of
// `docs/client-api.md`.
//
// `docs/part-3-explicit.md`, "The first half" and "The chain rebuilt".

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
