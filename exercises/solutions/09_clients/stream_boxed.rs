// `unfold` makes a stream of pages. It calls the closure when it is polled and has no page on its
// way, so nothing is sent too early. The place of the scan travels through the future: the closure of
// `and_then` owns it, and gives it back with the pairs.
//
// `flatten` makes a stream of pairs from the stream of pages. An empty page is a stream that ends at
// once, and `flatten` asks for the next one. After an error, `unfold` has no place to continue from,
// so the stream ends.

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
        Box::new(pages.map(stream::iter_ok).flatten())
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
    fn a_first_pair_comes_back() {
        within_time(|| {
            let (_dir, server) = serve();
            let mut client = Task::new(KvsClient::connect(server.addr)).finish().unwrap();
            let set = client.set("user:ada".to_owned(), "Lovelace".to_owned());
            Task::new(set).finish().unwrap();
            let pairs = Task::new(client.scan("user:".to_owned()).collect()).finish();
            let stored = [("user:ada".to_owned(), "Lovelace".to_owned())];
            assert_eq!(pairs.unwrap(), stored, "the pairs on the server");
        });
    }

    /// Tests of kvs's own clients. The last name in the output is the one that fails.
    #[test]
    fn the_scan_keeps_its_promises() {
        support::scans!(KvsClient, scans_in_order);
        support::many_at_once!(KvsClient, scans_in_order);
    }
}
