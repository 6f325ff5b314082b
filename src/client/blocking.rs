//! The client without futures: every call blocks its thread until the reply is there.
//!
//! It is where the course begins, and the measure for the others: one request at a time, on an
//! ordinary socket.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::codec::{Decoder, Encoder};

use crate::error::{ConnectionError, KvsError, Result};
use crate::protocol::{self, FrameCodec, Kind, Request, Response, Stats};
use crate::tcp;
use crate::token::Token;

/// The length in bytes from which the memory of a reply is freed with it.
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
    /// What has arrived and is not a whole frame yet.
    received: BytesMut,
    /// After an error nobody can tell which request the next reply would belong to.
    broken: Option<ConnectionError>,
}

impl KvsClient {
    /// Connects to the server at `addr`.
    ///
    /// # Errors
    ///
    /// [`KvsError::Connect`] where there is no server to be reached.
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

    /// The value of `key`, or `None` where the key is not there.
    ///
    /// # Errors
    ///
    /// [`KvsError::Connection`] where the connection breaks, now or earlier, and
    /// [`KvsError::Server`] where the server cannot do it.
    pub fn get(&mut self, key: String) -> Result<Option<String>> {
        self.call(&Request::Get { key })?.into_value()
    }

    /// Stores `value` under `key`, in place of what was there.
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
    /// [`KvsError::KeyNotFound`] where the key is not there, and those of
    /// [`get`](KvsClient::get).
    pub fn remove(&mut self, key: String) -> Result<()> {
        self.call(&Request::Remove { key })?.into_done()
    }

    /// Shows the server a token, where it wants one. That has to be the first request.
    ///
    /// # Errors
    ///
    /// [`KvsError::Server`] where it is the wrong one, and those of [`get`](KvsClient::get).
    pub fn auth(&mut self, token: &Token) -> Result<()> {
        let token = token.reveal();
        self.call(&Request::Auth { token })?.into_done()
    }

    /// How the server is doing.
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

    /// Before a request is sent, no reply is due. One that were taken for the answer would put all
    /// the later ones out of step.
    fn check_nothing_is_there(&mut self) -> std::result::Result<(), ConnectionError> {
        self.socket.set_nonblocking(true)?;
        let peeked = self.socket.peek(&mut [0]);
        self.socket.set_nonblocking(false)?;
        match peeked {
            Ok(0) => Err(ConnectionError::Closed),
            Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error.into()),
            Err(_) if self.received.is_empty() => Ok(()),
            _ => {
                let reply = serde_json::from_slice(&self.receive()?)?;
                Err(ConnectionError::unexpected(reply))
            }
        }
    }

    /// The next frame.
    fn receive(&mut self) -> std::result::Result<BytesMut, ConnectionError> {
        loop {
            if let Some(frame) = FrameCodec.decode(&mut self.received)? {
                if frame.len() > LONG {
                    // The rest shares its memory with the long reply, and would keep all of it.
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
