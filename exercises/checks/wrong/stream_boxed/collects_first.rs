//! Fails: the_scan_keeps_its_promises: the next to arrive

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

    /// Returns all pairs whose keys begin with `prefix`.
    pub fn scan(
        &mut self,
        prefix: String,
    ) -> Box<dyn Stream<Item = (String, String), Error = KvsError> + Send> {
        let client = self.clone();
        let pages = stream::unfold(Pages::new(prefix), move |mut pages| {
            let page = client.exchange(&pages.request()?, Response::into_page);
            Some(page.and_then(move |page| Ok((pages.receive(page)?, pages))))
        });
        let all = pages.concat2().map(stream::iter_ok);
        Box::new(all.flatten_stream())
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
