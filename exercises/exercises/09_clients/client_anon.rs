// kvs's own client, with `impl Future`: the skeleton that `cargo run --example start -- anon` hands
// out. A body that is not written yet has to return some future: this one panics when it is polled.
//
// TODO: write the body of each method but `scan`, in place of `future::lazy(unwritten)`.
// The tests stop at the first failure, and the last name in their output is a name in the tables of
// `docs/client-api.md`.
//
// `docs/part-4-anonymous.md`, "The box taken away", and `docs/client-api.md`, "The methods".

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

fn main() {}

#[cfg(test)]
mod tests {
    use super::*;
    use std::any::type_name_of_val;
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

    #[test]
    fn there_is_no_box() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = Task::new(KvsClient::connect(server.addr)).finish().unwrap();
            let get = client.get("key".to_owned());
            let name = type_name_of_val(&get);
            assert!(
                !name.contains("Box<"),
                "the future is, or contains, a box: {name}"
            );
        });
    }

    /// The tests that `docs/client-api.md` names. The last name in the output is the one that fails.
    #[test]
    fn the_client_keeps_its_promises() {
        support::one_at_a_time!(KvsClient, requests_in_order);
        support::many_at_once!(KvsClient, requests_in_order);
    }
}
