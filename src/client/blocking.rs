//! The client without futures: every call blocks its thread until the reply arrives.
//!
//! The course begins with this client, and compares the others with it. It sends one request at a
//! time, on an ordinary socket.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::codec::{Decoder, Encoder};

use crate::error::{ConnectionError, KvsError, Result};
use crate::protocol::{self, FrameCodec, Kind, Request, Response, Stats};
use crate::tcp;
use crate::token::Token;

/// The length in bytes from which a reply does not share its memory with the bytes after it.
const LONG: usize = 256 * 1024;

/// A connection to a server.
///
/// # Examples
///
/// ```
/// use kvs::client::blocking::KvsClient;
///
/// # let (addr, _server) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/doctest.rs"));
/// let mut client = KvsClient::connect(addr)?;
/// client.set("key".to_owned(), "value".to_owned())?;
/// assert_eq!(client.get("key".to_owned())?, Some("value".to_owned()));
/// # Ok::<(), kvs::KvsError>(())
/// ```
#[derive(Debug)]
pub struct KvsClient {
    addr: SocketAddr,
    socket: TcpStream,
    /// The bytes that have arrived and are not a whole frame yet.
    received: BytesMut,
    /// The error that broke the connection. After it, the next reply may belong to any request.
    broken: Option<ConnectionError>,
}

impl KvsClient {
    /// Connects to the server at `addr`.
    ///
    /// # Errors
    ///
    /// [`KvsError::Connect`] if no server can be reached.
    pub fn connect(addr: SocketAddr) -> Result<KvsClient> {
        let socket = TcpStream::connect(addr).and_then(|socket| {
            tcp::check_connected(&socket)?;
            tcp::set_options(&socket, tcp::LOST);
            Ok(socket)
        });
        let socket = socket.map_err(|source| KvsError::Connect {
            addr,
            source: Arc::new(source),
        })?;
        Ok(KvsClient {
            addr,
            socket,
            received: BytesMut::new(),
            broken: None,
        })
    }

    /// Returns the value of `key`, or `None` if the key does not exist.
    ///
    /// # Errors
    ///
    /// [`KvsError::Connection`] if the connection breaks or has broken earlier, and
    /// [`KvsError::Server`] if the server reports an error.
    pub fn get(&mut self, key: String) -> Result<Option<String>> {
        self.call(&Request::Get { key })?.into_value()
    }

    /// Stores `value` under `key`, and replaces the value that the key had.
    ///
    /// # Errors
    ///
    /// Those of [`get`](KvsClient::get).
    pub fn set(&mut self, key: String, value: String) -> Result<()> {
        self.call(&Request::Set { key, value })?.into_done()
    }

    /// Removes `key` and its value.
    ///
    /// # Errors
    ///
    /// [`KvsError::KeyNotFound`] if the key does not exist, and those of
    /// [`get`](KvsClient::get).
    pub fn remove(&mut self, key: String) -> Result<()> {
        self.call(&Request::Remove { key })?.into_done()
    }

    /// Shows the server a token. If the server wants one, this has to be the first request.
    ///
    /// # Errors
    ///
    /// [`KvsError::Server`] if the token is wrong, and those of [`get`](KvsClient::get).
    pub fn auth(&mut self, token: &Token) -> Result<()> {
        let token = token.reveal();
        self.call(&Request::Auth { token })?.into_done()
    }

    /// Returns the statistics of the server.
    ///
    /// # Errors
    ///
    /// Those of [`get`](KvsClient::get).
    pub fn stats(&mut self) -> Result<Stats> {
        self.call(&Request::Stats {})?.into_stats()
    }

    fn call(&mut self, request: &Request) -> Result<Response> {
        let body = protocol::encode(request)?;
        let result = match self.broken.clone() {
            Some(cause) => Err(cause),
            None => self.exchange(body, request.kind()),
        };
        result.map_err(|cause| {
            self.broken = Some(cause.clone());
            let addr = self.addr;
            KvsError::Connection { addr, cause }
        })
    }

    fn exchange(
        &mut self,
        body: Bytes,
        expected: Kind,
    ) -> std::result::Result<Response, ConnectionError> {
        self.check_nothing_is_there()?;
        let mut frame = BytesMut::new();
        FrameCodec.encode(body, &mut frame)?;
        self.socket.write_all(&frame)?;
        let reply: Response = serde_json::from_slice(&self.receive()?)?;
        match reply.kind() {
            Some(got) if got != expected => Err(ConnectionError::WrongReply { expected, got }),
            _ => Ok(reply),
        }
    }

    /// Checks that no reply has arrived although none is due. Otherwise each request would get the
    /// reply to the one before it.
    fn check_nothing_is_there(&mut self) -> std::result::Result<(), ConnectionError> {
        self.socket.set_nonblocking(true)?;
        let peeked = self.socket.peek(&mut [0]);
        self.socket.set_nonblocking(false)?;
        match peeked {
            Ok(0) => Err(ConnectionError::Closed),
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error.into()),
            Err(_) if self.received.is_empty() => Ok(()),
            _ => {
                let reply: Response = serde_json::from_slice(&self.receive()?)?;
                Err(reply.into_unexpected())
            }
        }
    }

    /// Waits for the next frame.
    fn receive(&mut self) -> std::result::Result<BytesMut, ConnectionError> {
        loop {
            if let Some(frame) = FrameCodec.decode(&mut self.received)? {
                if frame.len() > LONG {
                    // The bytes after the reply share its memory, and would keep all of it.
                    self.received = self.received[..].into();
                }
                return Ok(frame);
            }
            let mut chunk = [0; 8 * 1024];
            match self.socket.read(&mut chunk) {
                Ok(0) => {
                    let rest = FrameCodec.decode_eof(&mut self.received)?;
                    return rest.ok_or(ConnectionError::Closed);
                }
                Ok(n) => self.received.extend_from_slice(&chunk[..n]),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}
