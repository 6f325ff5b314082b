//! The connection that every client but the blocking one is a handle to.
//!
//! One task owns the socket, the driver. Handles send it their requests through a bounded queue,
//! each with a oneshot for the reply. So a request is two futures, one after the other, and how to
//! put two futures together is what the variants of the client show:
//!
//! - [`Sending`] waits for room in the queue. That is the back-pressure: a server that does not
//!   answer fills the queue, and then nothing more is sent, only waited.
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

/// A handle to a connection. Clones share it, and it closes when the last of them is gone and
/// the last of their futures.
#[derive(Debug, Clone)]
pub struct Connection {
    addr: SocketAddr,
    /// Every handle and every future shares it, so that the driver learns when all are gone.
    queue: Arc<queue::Sender>,
}

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

/// Sends the item of `future`, or drops `future` once the receiver is gone.
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

/// The first half of a request: done when the queue has taken it.
///
/// Once polled it may have been given a place in the queue, so it has to be polled on or dropped:
/// put aside, it keeps that place from others.
///
/// Fails with [`KvsError::TooLarge`] where the request is longer than a frame can be.
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct Sending {
    /// `None` once it is done.
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

/// The second half of a request: done when the reply is there, an `Err` reply included.
///
/// Fails with [`KvsError::Connection`] where the connection breaks.
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
