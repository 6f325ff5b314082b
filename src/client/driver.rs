//! The task that owns a connection's socket.
//!
//! It is a future written by hand, since it waits for three things at once: requests from the
//! handles, replies from the server, and room in the socket's buffer. Whichever is there first,
//! it goes on with that.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use futures::sync::oneshot;
use futures::{Async, AsyncSink, Future, Poll, Sink, Stream};
use log::debug;
use tokio::codec::Framed;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_serde_json::ReadJson;

use super::background;
use super::connection::{Call, abandoned};
use crate::error::{ConnectionError, KvsError, Result};
use crate::protocol::{FrameCodec, Kind, Response};

/// Requests that may wait for their replies at once. Further ones stay in the queue.
pub const IN_FLIGHT: usize = 256;

/// Sends requests and hands out replies until nobody needs the connection any more.
///
/// When the connection breaks, the driver goes on and answers every request with the cause: a
/// request may be put into the queue at any moment, and one that nobody takes out would leave
/// its future waiting forever.
pub(super) struct Driver {
    addr: SocketAddr,
    /// `None` once nobody needs the connection any more.
    queue: Option<mpsc::Receiver<Call>>,
    state: State,
}

enum State {
    Open(Link),
    Broken(KvsError),
}

impl Driver {
    pub(super) fn new(addr: SocketAddr, socket: TcpStream, queue: mpsc::Receiver<Call>) -> Driver {
        Driver {
            addr,
            queue: Some(queue),
            state: State::Open(Link {
                socket: ReadJson::new(Framed::new(socket, FrameCodec)),
                unsent: None,
                in_flight: VecDeque::new(),
            }),
        }
    }
}

impl Future for Driver {
    type Item = ();
    type Error = ();

    fn poll(&mut self) -> Poll<(), ()> {
        while let Some(queue) = &mut self.queue {
            match &mut self.state {
                State::Open(link) => match link.turn(queue) {
                    Ok(Async::NotReady) => return Ok(Async::NotReady),
                    Ok(Async::Ready(())) => self.queue = None,
                    Err(cause) => {
                        debug!("the connection to {} broke: {cause}", self.addr);
                        let addr = self.addr;
                        let error = KvsError::Connection { addr, cause };
                        link.fail(&error);
                        self.state = State::Broken(error);
                    }
                },
                State::Broken(error) => match next_call(queue) {
                    Async::NotReady => return Ok(Async::NotReady),
                    Async::Ready(Some(call)) => drop(call.reply.send(Err(error.clone()))),
                    Async::Ready(None) => self.queue = None,
                },
            }
        }
        Ok(Async::Ready(()))
    }
}

impl Drop for Driver {
    /// A runtime that shuts down drops its tasks. Somebody still has to take the requests out of
    /// the queue.
    fn drop(&mut self) {
        if let Some(queue) = self.queue.take() {
            // If that fails as well, there is no thread left that could wait for a reply.
            let _ = background::spawn_in_background(Driver {
                addr: self.addr,
                queue: Some(queue),
                state: State::Broken(abandoned(self.addr)),
            });
        }
    }
}

/// A connection that works.
struct Link {
    socket: ReadJson<Framed<TcpStream, FrameCodec>, Response>,
    /// A request that has left the queue, and that the socket's buffer had no room for.
    unsent: Option<Bytes>,
    /// Those who wait for a reply, in the order of their requests.
    in_flight: VecDeque<(Kind, oneshot::Sender<Result<Response>>)>,
}

impl Link {
    /// Does all that can be done now. Ready once nobody needs the connection any more.
    fn turn(&mut self, queue: &mut mpsc::Receiver<Call>) -> Poll<(), ConnectionError> {
        loop {
            if self.send_requests(queue)?.is_ready() {
                return Ok(Async::Ready(()));
            }
            let was_full = self.is_full();
            // All that was taken from the queue leaves with one system call.
            let is_flushed = self.socket.poll_complete()?.is_ready();
            self.receive_replies()?;

            // The queue wakes this task only where it was found empty, and it was not looked at
            // while too much was under way. Where there is room again, only another round fills it.
            let has_room = match self.unsent {
                Some(_) => is_flushed,
                None => self.in_flight.len() < IN_FLIGHT,
            };
            if !was_full || !has_room {
                return Ok(Async::NotReady);
            }
        }
    }

    fn is_full(&self) -> bool {
        self.unsent.is_some() || self.in_flight.len() >= IN_FLIGHT
    }

    /// Takes requests from the queue until it is empty or enough are under way. Ready once there
    /// will never be another one.
    fn send_requests(&mut self, queue: &mut mpsc::Receiver<Call>) -> Poll<(), ConnectionError> {
        loop {
            if let Some(body) = self.unsent.take()
                && let AsyncSink::NotReady(body) = self.socket.start_send(body)?
            {
                self.unsent = Some(body);
            }
            if self.is_full() {
                return Ok(Async::NotReady);
            }
            match next_call(queue) {
                Async::Ready(Some(call)) => {
                    self.unsent = Some(call.body);
                    self.in_flight.push_back((call.kind, call.reply));
                }
                Async::Ready(None) => return Ok(Async::Ready(())),
                Async::NotReady => return Ok(Async::NotReady),
            }
        }
    }

    /// Hands out the replies that are there, and fails where no more can come.
    fn receive_replies(&mut self) -> std::result::Result<(), ConnectionError> {
        while let Async::Ready(reply) = self.socket.poll()? {
            let reply = reply.ok_or(ConnectionError::Closed)?;
            let waiting = self.in_flight.front();
            let &(expected, _) = waiting.ok_or(ConnectionError::UnexpectedReply)?;
            if let Some(got) = reply.kind()
                && got != expected
            {
                return Err(ConnectionError::WrongReply { expected, got });
            }
            if let Some((_, waiting)) = self.in_flight.pop_front() {
                // Whoever gave up waiting misses nothing, and the others stay in step.
                let _ = waiting.send(Ok(reply));
            }
        }
        Ok(())
    }

    fn fail(&mut self, error: &KvsError) {
        for (_, waiting) in self.in_flight.drain(..) {
            let _ = waiting.send(Err(error.clone()));
        }
    }
}

/// The next request, or `None` once every handle and every future of the connection is gone.
fn next_call(queue: &mut mpsc::Receiver<Call>) -> Async<Option<Call>> {
    // The channel is documented to have no error that could be told from its end.
    queue.poll().unwrap_or(Async::Ready(None))
}
