//! Fails: the_client_keeps_its_promises: a request that is too long returned

use std::mem;
use std::net::SocketAddr;

use futures::{Async, Future, Poll, Stream, try_ready};
use kvs::client::connection::{Connection, Opening, Receiving, Sending};
use kvs::protocol::{Request, Response};
use kvs::{KvsError, Token};

/// A handle to a connection. Its clones share the connection.
#[derive(Debug, Clone)]
pub struct KvsClient {
    connection: Connection,
}

impl KvsClient {
    /// Connects to the server at `addr`. [`Connection::open`] returns a future, an [`Opening`].
    pub fn connect(addr: SocketAddr) -> ClientConnectFuture {
        let connected = Connection::open(addr);
        ClientConnectFuture(Connect::WaitingForConnection(connected))
    }

    /// Returns the value of `key`, or `None` if the key does not exist.
    pub fn get(&mut self, key: String) -> ClientGetFuture {
        ClientGetFuture(self.exchange(&Request::Get { key }))
    }

    /// Stores `value` under `key`, and replaces the previous value.
    pub fn set(&mut self, key: String, value: String) -> ClientSetFuture {
        ClientSetFuture(self.exchange(&Request::Set { key, value }))
    }

    /// Removes `key` and its value.
    pub fn remove(&mut self, key: String) -> ClientRemoveFuture {
        ClientRemoveFuture(self.exchange(&Request::Remove { key }))
    }

    /// Authenticates with a token. [`Token::reveal`] returns its text.
    pub fn auth(&mut self, token: &Token) -> ClientAuthFuture {
        let token = token.reveal();
        ClientAuthFuture(self.exchange(&Request::Auth { token }))
    }

    /// Returns all pairs whose keys begin with `prefix`: the exercise `stream_manual`.
    pub fn scan(&mut self, _prefix: String) -> ClientScanStream {
        unimplemented!()
    }

    /// Returns a future that waits for room in the queue, and then for the reply.
    fn exchange(&self, request: &Request) -> Exchange {
        let (sent, reply) = self.connection.request(request);
        Exchange::WaitingForRoom { sent, reply }
    }
}

/// The state of a request and its reply.
#[derive(Debug)]
enum Exchange {
    WaitingForRoom { sent: Sending, reply: Receiving },
    WaitingForReply { reply: Receiving },
    Done,
}

impl Future for Exchange {
    type Item = Response;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<Response, KvsError> {
        loop {
            match mem::replace(self, Exchange::Done) {
                Exchange::WaitingForRoom { mut sent, reply } => match sent.poll() {
                    Ok(Async::Ready(())) | Err(_) => *self = Exchange::WaitingForReply { reply },
                    Ok(Async::NotReady) => {
                        *self = Exchange::WaitingForRoom { sent, reply };
                        return Ok(Async::NotReady);
                    }
                },
                Exchange::WaitingForReply { mut reply } => match reply.poll()? {
                    Async::Ready(response) => return Ok(Async::Ready(response)),
                    Async::NotReady => {
                        *self = Exchange::WaitingForReply { reply };
                        return Ok(Async::NotReady);
                    }
                },
                Exchange::Done => panic!("polled after completion"),
            }
        }
    }
}

/// The future that [`KvsClient::connect`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientConnectFuture(Connect);

#[derive(Debug)]
enum Connect {
    WaitingForConnection(Opening),
    Done,
}

impl Future for ClientConnectFuture {
    type Item = KvsClient;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<KvsClient, KvsError> {
        match mem::replace(&mut self.0, Connect::Done) {
            Connect::WaitingForConnection(mut connected) => match connected.poll()? {
                Async::Ready(connection) => Ok(Async::Ready(KvsClient { connection })),
                Async::NotReady => {
                    self.0 = Connect::WaitingForConnection(connected);
                    Ok(Async::NotReady)
                }
            },
            Connect::Done => panic!("polled after completion"),
        }
    }
}

/// The future that [`KvsClient::get`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientGetFuture(Exchange);

impl Future for ClientGetFuture {
    type Item = Option<String>;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<Option<String>, KvsError> {
        try_ready!(self.0.poll()).into_value().map(Async::Ready)
    }
}

/// The future that [`KvsClient::set`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientSetFuture(Exchange);

impl Future for ClientSetFuture {
    type Item = ();
    type Error = KvsError;

    fn poll(&mut self) -> Poll<(), KvsError> {
        try_ready!(self.0.poll()).into_done().map(Async::Ready)
    }
}

/// The future that [`KvsClient::remove`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientRemoveFuture(Exchange);

impl Future for ClientRemoveFuture {
    type Item = ();
    type Error = KvsError;

    fn poll(&mut self) -> Poll<(), KvsError> {
        try_ready!(self.0.poll()).into_done().map(Async::Ready)
    }
}

/// The future that [`KvsClient::auth`] returns.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct ClientAuthFuture(Exchange);

impl Future for ClientAuthFuture {
    type Item = ();
    type Error = KvsError;

    fn poll(&mut self) -> Poll<(), KvsError> {
        try_ready!(self.0.poll()).into_done().map(Async::Ready)
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
        unimplemented!()
    }
}

fn main() {}
