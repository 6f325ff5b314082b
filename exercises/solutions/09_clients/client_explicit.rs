// A function pointer has no room for `reply`, so no closure may own it. `join` owns both futures from
// the start, and `reply` travels to the function as a part of the item.
//
// `sent` comes first in the `join`: if a request is too long, both futures fail, and `sent` knows the
// cause. `reply` would only report that its sender is gone.

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
        Join<Sending, Receiving>,
        Result<Option<String>>,
        fn(((), Response)) -> Result<Option<String>>,
    > {
        self.exchange(&Request::Get { key }, |((), reply)| reply.into_value())
    }

    /// Stores `value` under `key`, and replaces the previous value.
    pub fn set(
        &mut self,
        key: String,
        value: String,
    ) -> AndThen<Join<Sending, Receiving>, Result<()>, fn(((), Response)) -> Result<()>> {
        self.exchange(&Request::Set { key, value }, |((), reply)| {
            reply.into_done()
        })
    }

    /// Removes `key` and its value.
    pub fn remove(
        &mut self,
        key: String,
    ) -> AndThen<Join<Sending, Receiving>, Result<()>, fn(((), Response)) -> Result<()>> {
        self.exchange(&Request::Remove { key }, |((), reply)| reply.into_done())
    }

    /// Authenticates with a token. [`Token::reveal`] returns its text.
    pub fn auth(
        &mut self,
        token: &Token,
    ) -> AndThen<Join<Sending, Receiving>, Result<()>, fn(((), Response)) -> Result<()>> {
        let token = token.reveal();
        self.exchange(&Request::Auth { token }, |((), reply)| reply.into_done())
    }

    /// Returns all pairs whose keys begin with `prefix`: a task for later, as in the skeleton.
    pub fn scan(&mut self, _prefix: String) -> Empty<(String, String), KvsError> {
        unimplemented!()
    }

    /// Waits for room in the queue, then for the reply, and converts the reply with `take`.
    fn exchange<T>(
        &self,
        request: &Request,
        take: fn(((), Response)) -> Result<T>,
    ) -> AndThen<Join<Sending, Receiving>, Result<T>, fn(((), Response)) -> Result<T>> {
        let (sent, reply) = self.connection.request(request);
        sent.join(reply).and_then(take)
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
