//! The client without futures: every call blocks its thread until the reply is there.
//!
//! It is where the course begins, and the measure for the others: one request at a time, on an
//! ordinary socket.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use bytes::BytesMut;
use tokio::codec::Decoder;

use crate::error::{ConnectionError, KvsError, Result};
use crate::protocol::{self, FrameCodec, Request, Response};

/// A connection to a server.
///
/// ```no_run
/// use kvs::client::blocking::KvsClient;
///
/// # fn main() -> kvs::Result<()> {
/// let mut client = KvsClient::connect(([127, 0, 0, 1], 4000).into())?;
/// client.set("key".to_owned(), "value".to_owned())?;
/// assert_eq!(client.get("key".to_owned())?, Some("value".to_owned()));
/// # Ok(())
/// # }
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
            socket.set_nodelay(true)?;
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
        match self.call(&Request::Get { key })? {
            Response::Get(value) => Ok(value),
            other => Err(self.wrong_reply("Get", &other)),
        }
    }

    /// Stores `value` under `key`, in place of what was there.
    ///
    /// # Errors
    ///
    /// Those of [`get`](KvsClient::get).
    pub fn set(&mut self, key: String, value: String) -> Result<()> {
        match self.call(&Request::Set { key, value })? {
            Response::Set => Ok(()),
            other => Err(self.wrong_reply("Set", &other)),
        }
    }

    /// Removes `key` and its value.
    ///
    /// # Errors
    ///
    /// [`KvsError::KeyNotFound`] where the key is not there, and those of
    /// [`get`](KvsClient::get).
    pub fn remove(&mut self, key: String) -> Result<()> {
        match self.call(&Request::Remove { key })? {
            Response::Remove => Ok(()),
            other => Err(self.wrong_reply("Remove", &other)),
        }
    }

    /// The reply to a request, unless it is an error.
    fn call(&mut self, request: &Request) -> Result<Response> {
        if let Some(cause) = self.broken.clone() {
            return Err(self.connection_error(cause));
        }
        let frame = protocol::encode(request)?;
        let reply = self.exchange(&frame).map_err(|cause| self.fail(cause))?;
        match reply {
            Response::Err { code, message } => Err(protocol::server_error(code, message)),
            reply => Ok(reply),
        }
    }

    fn exchange(&mut self, frame: &[u8]) -> std::result::Result<Response, ConnectionError> {
        self.socket.write_all(frame)?;
        loop {
            if let Some(frame) = FrameCodec.decode(&mut self.received)? {
                return Ok(serde_json::from_slice(&frame)?);
            }
            let mut chunk = [0; 8 * 1024];
            match self.socket.read(&mut chunk)? {
                0 if self.received.is_empty() => return Err(ConnectionError::Closed),
                0 => return Err(ConnectionError::Truncated),
                n => self.received.extend_from_slice(&chunk[..n]),
            }
        }
    }

    fn wrong_reply(&mut self, expected: &'static str, reply: &Response) -> KvsError {
        let got = reply.kind();
        self.fail(ConnectionError::WrongReply { expected, got })
    }

    /// Gives the connection up.
    fn fail(&mut self, cause: ConnectionError) -> KvsError {
        self.broken = Some(cause.clone());
        self.connection_error(cause)
    }

    fn connection_error(&self, cause: ConnectionError) -> KvsError {
        KvsError::Connection {
            addr: self.addr,
            cause,
        }
    }
}
