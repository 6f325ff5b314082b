// The bodies of the boxed client without `Box::new`. The compiler knows the type of the chain, and
// returns it by value.
//
// `use<>` is a promise that the compiler checks: the future holds neither `&mut self` nor the
// request. So `get` may return a future that `exchange` has made from a temporary `&Request`, and a
// caller may have many requests pending. A type parameter cannot be left out: `use<T>`.

use std::net::SocketAddr;

use futures::{Future, Stream, future};
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
        let connected = Connection::open(addr);
        connected.map(|connection| KvsClient { connection })
    }

    /// Returns the value of `key`, or `None` if the key does not exist.
    pub fn get(
        &mut self,
        key: String,
    ) -> impl Future<Item = Option<String>, Error = KvsError> + Send + use<> {
        self.exchange(&Request::Get { key }, Response::into_value)
    }

    /// Stores `value` under `key`, and replaces the previous value.
    pub fn set(
        &mut self,
        key: String,
        value: String,
    ) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
        self.exchange(&Request::Set { key, value }, Response::into_done)
    }

    /// Removes `key` and its value.
    pub fn remove(
        &mut self,
        key: String,
    ) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
        self.exchange(&Request::Remove { key }, Response::into_done)
    }

    /// Authenticates with a token. [`Token::reveal`] returns its text.
    pub fn auth(
        &mut self,
        token: &Token,
    ) -> impl Future<Item = (), Error = KvsError> + Send + use<> {
        let token = token.reveal();
        self.exchange(&Request::Auth { token }, Response::into_done)
    }

    /// Returns all pairs whose keys begin with `prefix`: a task for later, as in the skeleton.
    pub fn scan(
        &mut self,
        _prefix: String,
    ) -> impl Stream<Item = (String, String), Error = KvsError> + Send + use<> {
        future::lazy(unwritten).into_stream()
    }

    /// Waits for room in the queue, then for the reply, and converts the reply with `take`.
    fn exchange<T: Send + 'static>(
        &self,
        request: &Request,
        take: fn(Response) -> Result<T>,
    ) -> impl Future<Item = T, Error = KvsError> + Send + use<T> {
        let (sent, reply) = self.connection.request(request);
        sent.and_then(|()| reply).and_then(take)
    }
}

fn unwritten<T>() -> Result<T> {
    unimplemented!()
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
