//! The task that owns a connection's socket.
//!
//! It is a future written by hand, since it waits for three things at once: requests from the
//! handles, replies from the server, and room in the socket's buffer. Whichever is there first,
//! it goes on with that.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::mem;
use std::net::SocketAddr;

use bytes::Bytes;
use futures::stream::Peekable;
use futures::sync::oneshot;
use futures::{Async, AsyncSink, Future, Poll, Sink, Stream, try_ready};
use log::{debug, warn};
use tokio::codec::Framed;
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_serde_json::ReadJson;

use super::background;
use super::connection::{Call, abandoned};
use crate::error::{ConnectionError, KvsError, Result};
use crate::protocol::{self, FrameCodec, Kind, Response};

/// Requests that may wait for their replies at once. Further ones stay in the queue.
pub const IN_FLIGHT: usize = 256;

/// Sends requests and hands out replies until nobody needs the connection any more.
///
/// When the connection breaks, the driver goes on and answers every request with the cause.
pub(super) struct Driver {
    addr: SocketAddr,
    state: State,
}

enum State {
    Open {
        link: Link,
        queue: mpsc::Receiver<Call>,
    },
    Broken(Refusal),
    Done,
}

impl Driver {
    /// Takes over a connected socket. `in_use` is cancelled once every handle and every future of
    /// the connection is gone.
    pub(super) fn new(
        addr: SocketAddr,
        socket: TcpStream,
        queue: mpsc::Receiver<Call>,
        in_use: oneshot::Receiver<Infallible>,
    ) -> Driver {
        let link = Link {
            socket: ReadJson::new(Framed::new(socket, FrameCodec).peekable()),
            in_use,
            unsent: None,
            in_flight: VecDeque::new(),
        };
        Driver {
            addr,
            state: State::Open { link, queue },
        }
    }
}

impl Future for Driver {
    type Item = ();
    type Error = ();

    fn poll(&mut self) -> Poll<(), ()> {
        if let State::Open { link, queue } = &mut self.state {
            match link.turn(queue) {
                Ok(Async::NotReady) => return Ok(Async::NotReady),
                Ok(Async::Ready(())) => self.state = State::Done,
                Err(cause) => {
                    debug!("the connection to {} broke: {cause}", self.addr);
                    let addr = self.addr;
                    let error = KvsError::Connection { addr, cause };
                    link.fail(&error);
                    if let State::Open { queue, .. } = mem::replace(&mut self.state, State::Done) {
                        self.state = State::Broken(Refusal { queue, error });
                    }
                }
            }
        }
        if let State::Broken(refusal) = &mut self.state {
            try_ready!(refusal.poll());
            self.state = State::Done;
        }
        Ok(Async::Ready(()))
    }
}

impl Drop for Driver {
    /// A runtime that shuts down drops its tasks. Somebody still has to answer the requests.
    fn drop(&mut self) {
        let refusal = match mem::replace(&mut self.state, State::Done) {
            State::Open { queue, .. } => Refusal {
                queue,
                error: abandoned(self.addr),
            },
            State::Broken(refusal) => refusal,
            State::Done => return,
        };
        if let Err(error) = background::spawn_in_background(refusal) {
            warn!("requests to {} may wait for ever: {error}", self.addr);
        }
    }
}

/// Answers every request with the same error, until there can be no more.
///
/// A request may be put into the queue at any moment, and one that nobody takes out would leave
/// its future waiting for ever, even where the queue itself is gone: one that arrives while the
/// channel is being dropped can stay in it.
struct Refusal {
    queue: mpsc::Receiver<Call>,
    error: KvsError,
}

impl Future for Refusal {
    type Item = ();
    type Error = ();

    fn poll(&mut self) -> Poll<(), ()> {
        loop {
            match next_call(&mut self.queue) {
                Async::NotReady => return Ok(Async::NotReady),
                Async::Ready(Some(call)) => drop(call.reply.send(Err(self.error.clone()))),
                Async::Ready(None) => return Ok(Async::Ready(())),
            }
        }
    }
}

/// A connection that works.
struct Link {
    socket: ReadJson<Peekable<Framed<TcpStream, FrameCodec>>, Response>,
    in_use: oneshot::Receiver<Infallible>,
    /// A request that has left the queue, and that the socket's buffer had no room for.
    unsent: Option<Bytes>,
    /// Those who wait for a reply, in the order of their requests.
    in_flight: VecDeque<(Kind, oneshot::Sender<Result<Response>>)>,
}

impl Link {
    /// Does all that can be done now. Ready once nobody needs the connection any more.
    fn turn(&mut self, queue: &mut mpsc::Receiver<Call>) -> Poll<(), ConnectionError> {
        loop {
            if self.in_use.poll().is_err() {
                return Ok(Async::Ready(()));
            }
            let sent = self.send_requests(queue);
            let was_full = self.is_full();
            // The server's last words may be there although nothing can be sent to it any more.
            self.receive_replies()?;
            let is_flushed = sent?.is_ready();

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

    /// Takes requests from the queue until it is empty or enough are under way, and sends them
    /// together, as far as the socket's buffer takes them. Ready when all of them have gone.
    fn send_requests(&mut self, queue: &mut mpsc::Receiver<Call>) -> Poll<(), ConnectionError> {
        loop {
            if let Some(body) = self.unsent.take()
                && let AsyncSink::NotReady(body) = self.socket.start_send(body)?
            {
                self.unsent = Some(body);
            }
            if self.is_full() {
                break;
            }
            let Async::Ready(Some(call)) = next_call(queue) else {
                break;
            };
            self.unsent = Some(call.body);
            self.in_flight.push_back((call.kind, call.reply));
        }
        self.socket.poll_complete()
    }

    /// Hands out the replies that are there, and fails where no more can come.
    fn receive_replies(&mut self) -> std::result::Result<(), ConnectionError> {
        while let Async::Ready(reply) = self.next_reply()? {
            let reply = reply.ok_or(ConnectionError::Closed)?;
            let Some(&(expected, _)) = self.in_flight.front() else {
                return Err(ConnectionError::unexpected(reply));
            };
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

    /// The next reply that is there. `ReadJson` takes it byte by byte out of its frame, which would be
    /// more than half of the client's work, so a plain one does not get that far.
    fn next_reply(&mut self) -> Poll<Option<Response>, ConnectionError> {
        let frames = self.socket.get_mut();
        let frame = try_ready!(frames.peek());
        let Some(reply) = frame.and_then(|frame| protocol::read_plain_reply(frame)) else {
            return self.socket.poll();
        };
        frames.poll()?;
        Ok(Async::Ready(Some(reply)))
    }

    fn fail(&mut self, error: &KvsError) {
        for (_, waiting) in self.in_flight.drain(..) {
            let _ = waiting.send(Err(error.clone()));
        }
    }
}

/// The next request, or `None` where there will never be another one.
fn next_call(queue: &mut mpsc::Receiver<Call>) -> Async<Option<Call>> {
    // The channel is documented to have no error that could be told from its end.
    queue.poll().unwrap_or(Async::Ready(None))
}
