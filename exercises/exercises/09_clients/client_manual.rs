// kvs's own client, with futures written by hand: the skeleton that
// `cargo run --example start -- manual` hands out.
//
// TODO: give `Exchange` its states and its `poll`, then the structs their fields and their `poll`,
// and write the methods. Leave `scan` and `ClientScanStream`: their exercise is `stream_manual`,
// after these. Begin with `ClientConnectFuture`, `Exchange`, `ClientSetFuture` and
// `ClientGetFuture`. The tests stop at the first failure, and the last name in their output is a
// name in the tables of `docs/client-api.md`.
//
// `docs/by-hand.md`, "The one that works: take the state out".

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
