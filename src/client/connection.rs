//! The connection behind every client but the blocking one.
//!
//! One task, the driver, owns the socket. Handles send their requests to the driver through a
//! bounded queue, each with a oneshot for the reply. So a request is two futures, one after the
//! other, and the variants of the client show how to combine two futures:
//!
//! - [`Sending`] waits for room in the queue. That is the back-pressure: if the server does not
//!   answer, the queue fills up, and the client sends no more requests.
//! - [`Receiving`] waits for the reply.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use futures::sync::oneshot;
use futures::{Async, AsyncSink, Future, Poll, future, try_ready};
use tokio::net::TcpStream;
use tokio::net::tcp::ConnectFuture;

use super::background;
use super::call::{Call, abandoned};
use super::driver::Driver;
use super::queue::{self, Entry};
use crate::error::{KvsError, Result};
use crate::protocol::{self, Request, Response};
use crate::tcp;

/// A handle to a connection. Clones share the connection. It closes when all clones and all their
/// futures are dropped.
#[derive(Debug, Clone)]
pub struct Connection {
    addr: SocketAddr,
    /// Every handle and every future shares it. Dropping the last of them wakes the driver.
    queue: Arc<queue::Sender>,
}

impl Connection {
    /// Returns a future that connects to the server at `addr` when it is polled.
    ///
    /// The driver runs on the runtime that polls this future. That runtime has to keep running
    /// until the last reply has arrived. If no runtime polls the future, the driver runs on a
    /// thread of the library.
    pub fn open(addr: SocketAddr) -> Opening {
        Opening {
            addr,
            state: OpeningState::NotStarted,
        }
    }

    /// Returns the two futures of a request. The first sends the request when it is polled, and the
    /// second completes only after the first.
    pub fn request(&self, request: &Request) -> (Sending, Receiving) {
        let (sender, reply) = oneshot::channel();
        let call = protocol::encode(request).map(|body| Call {
            body,
            kind: request.kind(),
            reply: sender,
        });
        let sending = Sending {
            state: Some(call.map(|call| (Entry::new(&self.queue), call))),
        };
        let receiving = Receiving {
            addr: self.addr,
            reply,
            _queue: Arc::clone(&self.queue),
        };
        (sending, receiving)
    }
}

/// The future of a [`Connection`].
///
/// Fails with [`KvsError::Connect`] if no server can be reached.
#[must_use = "futures do nothing unless polled"]
pub struct Opening {
    addr: SocketAddr,
    state: OpeningState,
}

enum OpeningState {
    NotStarted,
    Connecting(ConnectFuture),
    /// The thread of the library connects. It stops if this is dropped.
    InBackground(oneshot::Receiver<Result<Connection>>),
}

impl Opening {
    fn start(&self) -> Result<OpeningState> {
        if background::has_executor() {
            let socket = tcp::socket(self.addr).map_err(|error| self.error(error))?;
            let reactor = background::reactor()?;
            let connecting = TcpStream::connect_std(socket, &self.addr, &reactor);
            return Ok(OpeningState::Connecting(connecting));
        }
        let (sender, opened) = oneshot::channel();
        let opening = Connection::open(self.addr).then(Ok);
        background::spawn_in_background(send(opening, sender))?;
        Ok(OpeningState::InBackground(opened))
    }

    fn drive(&self, socket: TcpStream) -> Result<Connection> {
        tcp::check_connected(&socket).map_err(|error| self.error(error))?;
        let (sender, receiver) = queue::queue();
        background::spawn(Driver::new(self.addr, socket, receiver))?;
        Ok(Connection {
            addr: self.addr,
            queue: Arc::new(sender),
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
            OpeningState::InBackground(opened) => match opened.poll() {
                Ok(Async::Ready(opened)) => opened.map(Async::Ready),
                Ok(Async::NotReady) => Ok(Async::NotReady),
                Err(oneshot::Canceled) => Err(abandoned(self.addr)),
            },
        }
    }
}

/// Sends the item of `future`. If the receiver is dropped first, drops `future`.
fn send<F: Future<Error = ()>>(
    mut future: F,
    sender: oneshot::Sender<F::Item>,
) -> impl Future<Item = (), Error = ()> {
    let mut sender = Some(sender);
    future::poll_fn(move || {
        let is_given_up = match &mut sender {
            Some(sender) => sender.poll_cancel()?.is_ready(),
            None => true,
        };
        if is_given_up {
            return Ok(Async::Ready(()));
        }
        let item = try_ready!(future.poll());
        if let Some(sender) = sender.take() {
            // If the receiver has just been dropped, the item is dropped too.
            let _ = sender.send(item);
        }
        Ok(Async::Ready(()))
    })
}

impl fmt::Debug for Opening {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opening({})", self.addr)
    }
}

/// The first half of a request. It completes when the queue has taken the request.
///
/// After the first poll it may have a place in the queue. So poll it again when it is woken, or
/// drop it. Otherwise it keeps that place from other requests.
///
/// Fails with [`KvsError::TooLarge`] if the request is longer than a frame can be.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Sending {
    /// `None` after completion.
    state: Option<Result<(Entry, Call)>>,
}

impl Future for Sending {
    type Item = ();
    type Error = KvsError;

    fn poll(&mut self) -> Poll<(), KvsError> {
        let state = self.state.take();
        let (mut entry, call) = state.expect("a request was polled after it was sent")?;
        Ok(match entry.start_send(call)? {
            AsyncSink::Ready => Async::Ready(()),
            AsyncSink::NotReady(call) => {
                self.state = Some(Ok((entry, call)));
                Async::NotReady
            }
        })
    }
}

/// The second half of a request. It completes when the reply arrives, even if that is an `Err`.
///
/// Fails with [`KvsError::Connection`] if the connection breaks.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Receiving {
    addr: SocketAddr,
    reply: oneshot::Receiver<Result<Response>>,
    _queue: Arc<queue::Sender>,
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

#[cfg(test)]
mod tests {
    use tokio::reactor::Handle;

    use super::*;

    #[test]
    fn a_client_that_is_connected_to_itself_has_no_server() {
        let socket = tcp::tests::connected_to_itself();
        let addr = socket.local_addr().unwrap();
        let socket = TcpStream::from_std(socket, &Handle::default()).unwrap();
        let refused = Connection::open(addr).drive(socket).map(drop);
        let Err(KvsError::Connect { source, .. }) = refused else {
            panic!("{refused:?}");
        };
        assert_eq!(source.kind(), std::io::ErrorKind::ConnectionRefused);
    }
}
