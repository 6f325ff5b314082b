//! The client without futures: every call blocks its thread until the reply arrives.
//!
//! The course begins with this client, and compares the others with it. It sends one request at a
//! time, on an ordinary socket.

use std::io::{self, ErrorKind, Read, Write};
use std::iter::FusedIterator;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};
use std::vec;

use bytes::{Bytes, BytesMut};
use tokio::codec::{Decoder, Encoder};

use super::Pages;
use crate::error::{ConnectionError, KvsError, Result};
use crate::protocol::{self, FrameCodec, Kind, Page, Request, Response, Scan, Stats};
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
    /// The time limit for each request.
    timeout: Option<Duration>,
    /// The time limit of the last request.
    deadline: Deadline,
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
        KvsClient::new(addr, TcpStream::connect(addr))
    }

    /// Connects to the server at `addr`, and gives up after `limit`. That is not a limit for the
    /// requests, which [`set_timeout`](KvsClient::set_timeout) sets.
    ///
    /// # Errors
    ///
    /// [`KvsError::Connect`] if no server can be reached within `limit`.
    pub fn connect_timeout(addr: SocketAddr, limit: Duration) -> Result<KvsClient> {
        // The standard library refuses a limit of zero.
        let socket = TcpStream::connect_timeout(&addr, limit.max(Duration::from_nanos(1)));
        let socket = socket.map_err(|error| match error.kind() {
            // The system has a limit, too, and its errors have a number.
            ErrorKind::TimedOut if error.raw_os_error().is_none() => {
                io::Error::new(ErrorKind::TimedOut, format!("no answer within {limit:?}"))
            }
            _ => error,
        });
        KvsClient::new(addr, socket)
    }

    fn new(addr: SocketAddr, socket: io::Result<TcpStream>) -> Result<KvsClient> {
        let socket = socket.and_then(|socket| {
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
            timeout: None,
            deadline: Deadline::default(),
            broken: None,
        })
    }

    /// Sets the time that each request from now on may take, from its call to the end of its reply.
    /// A new client has no limit. [`scan`](KvsClient::scan) makes a request for each page.
    ///
    /// A request that takes longer fails with [`ConnectionError::TimedOut`], and breaks the
    /// connection: its reply may still arrive. The server may execute it nevertheless.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use kvs::client::blocking::KvsClient;
    ///
    /// # let (addr, _server) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/doctest.rs"));
    /// let mut client = KvsClient::connect_timeout(addr, Duration::from_secs(5))?;
    /// client.set_timeout(Some(Duration::from_secs(5)));
    /// assert_eq!(client.get("key".to_owned())?, None);
    /// # Ok::<(), kvs::KvsError>(())
    /// ```
    pub fn set_timeout(&mut self, limit: Option<Duration>) {
        self.timeout = limit;
        if limit.is_none() {
            // The socket still has the rest of an earlier limit. If it keeps that, it wakes this
            // client for nothing, and the client waits again.
            let _ = self.socket.set_read_timeout(None);
            let _ = self.socket.set_write_timeout(None);
        }
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

    /// Returns all pairs whose keys begin with `prefix`, in an order that is up to the engine of
    /// the server. The iterator is lazy: it asks for a page of pairs when it has returned all pairs
    /// of the page before. It ends after an error.
    ///
    /// A pair that exists from the beginning to the end of the scan is returned at least once, and
    /// exactly once if nothing is written meanwhile. A pair that is written or removed meanwhile
    /// may be returned or not.
    ///
    /// # Errors
    ///
    /// Each item may be one of the errors of [`scan_page`](KvsClient::scan_page), and
    /// [`KvsError::Server`] if a page has a key without a value.
    ///
    /// # Examples
    ///
    /// ```
    /// use kvs::client::blocking::KvsClient;
    ///
    /// # let (addr, _server) = include!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/common/doctest.rs"));
    /// let mut client = KvsClient::connect(addr)?;
    /// client.set("user:1".to_owned(), "Ada".to_owned())?;
    /// client.set("task:1".to_owned(), "analyse".to_owned())?;
    /// for pair in client.scan("user:".to_owned()) {
    ///     assert_eq!(pair?, ("user:1".to_owned(), "Ada".to_owned()));
    /// }
    /// # Ok::<(), kvs::KvsError>(())
    /// ```
    pub fn scan(&mut self, prefix: String) -> Pairs<'_> {
        Pairs {
            client: self,
            pairs: Vec::new().into_iter(),
            pages: Some(Pages::new(prefix)),
        }
    }

    /// Returns a page of a scan. The request for the next page has the cursor of this page, and is
    /// otherwise the same.
    ///
    /// # Errors
    ///
    /// [`KvsError::Server`] with [`ErrorCode::BadCursor`](crate::protocol::ErrorCode::BadCursor) if
    /// the cursor is not one of the store, and with
    /// [`ErrorCode::Unsupported`](crate::protocol::ErrorCode::Unsupported) if the engine of the
    /// server does not implement scans. Those of [`get`](KvsClient::get).
    pub fn scan_page(&mut self, scan: Scan) -> Result<Page> {
        self.call(&Request::Scan(scan))?.into_page()
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
        self.deadline = Deadline::start(request.kind(), self.timeout);
        let body = protocol::encode(request)?;
        let result = match self.broken.clone() {
            Some(cause) => Err(cause),
            None => self.exchange(body, request.kind()),
        };
        result.map_err(|cause| self.fail(cause))
    }

    /// Notes that the connection is broken.
    fn fail(&mut self, cause: ConnectionError) -> KvsError {
        self.broken = Some(cause.clone());
        let addr = self.addr;
        KvsError::Connection { addr, cause }
    }

    fn exchange(
        &mut self,
        body: Bytes,
        expected: Kind,
    ) -> std::result::Result<Response, ConnectionError> {
        self.check_nothing_is_there()?;
        let mut frame = BytesMut::new();
        FrameCodec.encode(body, &mut frame)?;
        self.send(&frame)?;
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

    /// Waits until the socket has taken all bytes of a frame.
    fn send(&mut self, mut frame: &[u8]) -> std::result::Result<(), ConnectionError> {
        while !frame.is_empty() {
            if let Some(left) = self.deadline.left()? {
                self.socket.set_write_timeout(Some(left))?;
            }
            match self.socket.write(frame) {
                Ok(0) => return Err(io::Error::from(ErrorKind::WriteZero).into()),
                Ok(n) => frame = &frame[n..],
                Err(error) if is_to_be_repeated(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
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
            if let Some(left) = self.deadline.left()? {
                self.socket.set_read_timeout(Some(left))?;
            }
            let mut chunk = [0; 8 * 1024];
            match self.socket.read(&mut chunk) {
                Ok(0) => {
                    let rest = FrameCodec.decode_eof(&mut self.received)?;
                    return rest.ok_or(ConnectionError::Closed);
                }
                Ok(n) => self.received.extend_from_slice(&chunk[..n]),
                Err(error) if is_to_be_repeated(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

/// Returns whether a call of a socket has only been interrupted, or has used up its time.
fn is_to_be_repeated(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::Interrupted | ErrorKind::WouldBlock)
}

/// The end of the time that a request may take.
#[derive(Debug, Default)]
struct Deadline(Option<(Kind, Duration, Instant)>);

impl Deadline {
    fn start(request: Kind, limit: Option<Duration>) -> Deadline {
        let end = |limit| Some((request, limit, Instant::now().checked_add(limit)?));
        Deadline(limit.and_then(end))
    }

    /// Returns the time that is left, or `None` if there is no limit.
    fn left(&self) -> std::result::Result<Option<Duration>, ConnectionError> {
        let Some((request, after, end)) = self.0 else {
            return Ok(None);
        };
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(ConnectionError::TimedOut { request, after });
        }
        Ok(Some(left))
    }
}

/// The pairs of a scan. See [`KvsClient::scan`].
#[derive(Debug)]
#[must_use = "iterators do nothing unless consumed"]
pub struct Pairs<'a> {
    client: &'a mut KvsClient,
    /// The rest of a page.
    pairs: vec::IntoIter<(String, String)>,
    /// `None` after an error.
    pages: Option<Pages>,
}

impl Iterator for Pairs<'_> {
    type Item = Result<(String, String)>;

    fn next(&mut self) -> Option<Result<(String, String)>> {
        loop {
            if let Some(pair) = self.pairs.next() {
                return Some(Ok(pair));
            }
            let mut pages = self.pages.take()?;
            let request = pages.request()?;
            let reply = self.client.call(&request).and_then(Response::into_page);
            match reply.and_then(|page| pages.receive(page)) {
                Ok(pairs) => self.pairs = pairs.into_iter(),
                Err(error) => return Some(Err(error)),
            }
            self.pages = Some(pages);
        }
    }
}

impl FusedIterator for Pairs<'_> {}
