//! The connection that every client but the blocking one is a handle to.
//!
//! One task owns the socket, the driver. Handles send it their requests through a bounded queue,
//! each with a oneshot for the reply. So a request is two futures, one after the other, and how to
//! put two futures together is what the variants of the client show:
//!
//! - [`Sending`] waits for room in the queue. That is the back-pressure: a server that does not
//!   answer fills the queue, and then nothing more is sent, only waited.
//! - [`Receiving`] waits for the reply.

use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures::sync::oneshot;
use futures::{Async, AsyncSink, Future, Poll, Sink};
use tokio::net::TcpStream;
use tokio::net::tcp::ConnectFuture;
use tokio::sync::mpsc;

use super::background;
use super::driver::Driver;
use crate::error::{ConnectionError, KvsError, Result};
use crate::protocol::{self, Kind, Request, Response};

/// Requests that wait in the queue before a further one has to wait for room.
pub const QUEUE: usize = 64;

/// A request on its way to the driver.
#[derive(Debug)]
pub(super) struct Call {
    /// The request as JSON.
    pub(super) body: Bytes,
    /// The kind of reply that is due.
    pub(super) kind: Kind,
    pub(super) reply: oneshot::Sender<Result<Response>>,
}

/// A handle to a connection. Clones share it, and it closes when the last of them is gone and
/// the last of their futures.
#[derive(Debug, Clone)]
pub struct Connection {
    addr: SocketAddr,
    calls: mpsc::Sender<Call>,
    in_use: InUse,
}

/// What every handle and every future holds, so that the driver knows when all are gone. The queue
/// would tell as well, but not while it is full and the driver does not look at it.
type InUse = Arc<oneshot::Sender<Infallible>>;

impl Connection {
    /// Connects to the server at `addr`, once the future is polled.
    ///
    /// The task that drives the connection runs on the runtime that polls this future, which has to
    /// go on running as long as replies are waited for; or, where there is none, on a thread of the
    /// library's own.
    pub fn open(addr: SocketAddr) -> Opening {
        Opening {
            addr,
            state: OpeningState::NotStarted,
        }
    }

    /// Makes the two futures of a request. Nothing is sent before the first is polled, and the
    /// second is done only after the first.
    pub fn request(&self, request: &Request) -> (Sending, Receiving) {
        let (sender, reply) = oneshot::channel();
        let call = protocol::encode(request).map(|body| Call {
            body,
            kind: request.kind(),
            reply: sender,
        });
        let sending = Sending {
            addr: self.addr,
            state: Some(call.map(|call| (self.calls.clone(), call))),
        };
        let receiving = Receiving {
            addr: self.addr,
            reply,
            _in_use: Arc::clone(&self.in_use),
        };
        (sending, receiving)
    }
}

/// The future of a [`Connection`].
///
/// Fails with [`KvsError::Connect`] where there is no server to be reached.
#[must_use = "futures do nothing unless polled"]
pub struct Opening {
    addr: SocketAddr,
    state: OpeningState,
}

enum OpeningState {
    NotStarted,
    Connecting(ConnectFuture),
    /// The library's own thread does all of it, unless this is dropped.
    InBackground(oneshot::SpawnHandle<Connection, KvsError>),
}

impl Opening {
    fn start(&self) -> Result<OpeningState> {
        if background::has_runtime() {
            return Ok(OpeningState::Connecting(TcpStream::connect(&self.addr)));
        }
        let executor = background::executor()?;
        let opened = oneshot::spawn(Connection::open(self.addr), &executor);
        Ok(OpeningState::InBackground(opened))
    }

    fn drive(&self, socket: TcpStream) -> Result<Connection> {
        socket.set_nodelay(true).map_err(|e| self.error(e))?;
        let (calls, queue) = mpsc::channel(QUEUE);
        let (sender, in_use) = oneshot::channel();
        background::spawn(Driver::new(self.addr, socket, queue, in_use))?;
        Ok(Connection {
            addr: self.addr,
            calls,
            in_use: Arc::new(sender),
        })
    }

    fn error(&self, source: std::io::Error) -> KvsError {
        KvsError::Connect {
            addr: self.addr,
            source: Arc::new(source),
        }
    }
}

impl Future for Opening {
    type Item = Connection;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<Connection, KvsError> {
        if let OpeningState::NotStarted = self.state {
            self.state = self.start()?;
        }
        match &mut self.state {
            OpeningState::NotStarted => unreachable!("it was started above"),
            OpeningState::Connecting(connecting) => match connecting.poll() {
                Ok(Async::Ready(socket)) => self.drive(socket).map(Async::Ready),
                Ok(Async::NotReady) => Ok(Async::NotReady),
                Err(error) => Err(self.error(error)),
            },
            OpeningState::InBackground(opened) => opened.poll(),
        }
    }
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opening({})", self.addr)
    }
}

/// The first half of a request: done when the queue has taken it.
///
/// Once polled it may have been given a place in the queue, so it has to be polled on or dropped:
/// put aside, it keeps that place from others.
///
/// Fails with [`KvsError::TooLarge`] where the request is longer than a frame can be.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Sending {
    addr: SocketAddr,
    /// `None` once it is done.
    state: Option<Result<(mpsc::Sender<Call>, Call)>>,
}

impl Future for Sending {
    type Item = ();
    type Error = KvsError;

    fn poll(&mut self) -> Poll<(), KvsError> {
        let state = self.state.take();
        let (mut queue, call) = state.expect("a request was polled after it was sent")?;
        match queue.start_send(call) {
            Ok(AsyncSink::Ready) => Ok(Async::Ready(())),
            Ok(AsyncSink::NotReady(call)) => {
                self.state = Some(Ok((queue, call)));
                Ok(Async::NotReady)
            }
            Err(_) => Err(abandoned(self.addr)),
        }
    }
}

/// The second half of a request: done when the reply is there, an `Err` reply included.
///
/// Fails with [`KvsError::Connection`] where the connection breaks.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Receiving {
    addr: SocketAddr,
    reply: oneshot::Receiver<Result<Response>>,
    _in_use: InUse,
}

impl Future for Receiving {
    type Item = Response;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<Response, KvsError> {
        match self.reply.poll() {
            Ok(Async::Ready(reply)) => reply.map(Async::Ready),
            Ok(Async::NotReady) => Ok(Async::NotReady),
            Err(oneshot::Canceled) => Err(abandoned(self.addr)),
        }
    }
}

/// What those get who wait for a driver that is gone.
pub(super) fn abandoned(addr: SocketAddr) -> KvsError {
    KvsError::Connection {
        addr,
        cause: ConnectionError::Abandoned,
    }
}
