// All methods share one chain, and it is boxed once, where `exchange` returns. The closure owns
// `reply`: `sent` has to complete before `reply` is polled, or no request would be on its way.
//
// Nothing is sent before the first poll, because `request` only encodes, and all the rest is in the
// chain. The box is `Send` because its type says so, and borrows nothing because it says nothing
// else.

use std::net::SocketAddr;

use futures::{Future, Stream};
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
        let connected = Connection::open(addr);
        Box::new(connected.map(|connection| KvsClient { connection }))
    }

    /// Returns the value of `key`, or `None` if the key does not exist.
    pub fn get(
        &mut self,
        key: String,
    ) -> Box<dyn Future<Item = Option<String>, Error = KvsError> + Send> {
        self.exchange(&Request::Get { key }, Response::into_value)
    }

    /// Stores `value` under `key`, and replaces the previous value.
    pub fn set(
        &mut self,
        key: String,
        value: String,
    ) -> Box<dyn Future<Item = (), Error = KvsError> + Send> {
        self.exchange(&Request::Set { key, value }, Response::into_done)
    }

    /// Removes `key` and its value.
    pub fn remove(&mut self, key: String) -> Box<dyn Future<Item = (), Error = KvsError> + Send> {
        self.exchange(&Request::Remove { key }, Response::into_done)
    }

    /// Authenticates with a token. [`Token::reveal`] returns its text.
    pub fn auth(&mut self, token: &Token) -> Box<dyn Future<Item = (), Error = KvsError> + Send> {
        let token = token.reveal();
        self.exchange(&Request::Auth { token }, Response::into_done)
    }

    /// Returns all pairs whose keys begin with `prefix`: the exercise `stream_boxed`.
    pub fn scan(
        &mut self,
        _prefix: String,
    ) -> Box<dyn Stream<Item = (String, String), Error = KvsError> + Send> {
        unimplemented!()
    }

    /// Waits for room in the queue, then for the reply, and converts the reply with `take`.
    fn exchange<T: Send + 'static>(
        &self,
        request: &Request,
        take: fn(Response) -> Result<T>,
    ) -> Box<dyn Future<Item = T, Error = KvsError> + Send> {
        let (sent, reply) = self.connection.request(request);
        Box::new(sent.and_then(|()| reply).and_then(take))
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
