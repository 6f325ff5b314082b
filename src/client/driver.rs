//! The task that owns a connection's socket.
//!
//! It is a future written by hand, because it waits for three things at once: requests from the
//! handles, replies from the server, and room in the socket's buffer.

use std::collections::VecDeque;
use std::mem;
use std::net::SocketAddr;
use std::result::Result;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use futures::sync::oneshot;
use futures::{Async, AsyncSink, Future, Poll, Sink, StartSend, Stream, try_ready};
use log::debug;
use tokio::codec::{Decoder, Encoder, Framed, FramedParts};
use tokio::net::TcpStream;
use tokio::timer::Delay;
use tokio_serde_json::ReadJson;

use super::call::abandoned;
use super::queue::{Receiver, answer};
use crate::error::{ConnectionError, KvsError};
use crate::protocol::{self, FrameCodec, Kind, Response};

/// The number of requests that may wait for their replies. Further requests stay in the queue.
pub const IN_FLIGHT: usize = 256;

/// The most bytes of a request that are put into the socket's buffer at a time.
const PIECE: usize = 64 * 1024;

/// The length in bytes from which a reply makes the driver shrink its buffer, a [`MOMENT`] later.
const LONG: usize = 256 * 1024;

/// How long a grown buffer stays, for the long replies that may follow.
const MOMENT: Duration = Duration::from_millis(500);

/// Sends requests and hands out replies until the last handle and future of the connection are
/// gone, or until the connection breaks. Then the queue answers every later request with the cause.
pub(super) struct Driver {
    addr: SocketAddr,
    /// `None` after the end of the connection.
    link: Option<Link>,
}

impl Driver {
    /// Takes over a connected socket.
    pub(super) fn new(addr: SocketAddr, socket: TcpStream, queue: Receiver) -> Driver {
        let link = Link {
            socket: ReadJson::new(Frames::new(FramedParts::new(socket, Pieces))),
            queue,
            unsent: None,
            rest: Bytes::new(),
            in_flight: VecDeque::new(),
            grown: None,
        };
        Driver {
            addr,
            link: Some(link),
        }
    }
}

impl Future for Driver {
    type Item = ();
    type Error = ();

    fn poll(&mut self) -> Poll<(), ()> {
        let Some(link) = &mut self.link else {
            return Ok(Async::Ready(()));
        };
        match link.turn() {
            Ok(Async::NotReady) => {
                if link.has_grown() {
                    self.link = self.link.take().map(Link::shrink);
                }
                return Ok(Async::NotReady);
            }
            Ok(Async::Ready(())) => {}
            Err(cause) => {
                debug!("the connection to {} broke: {cause}", self.addr);
                let addr = self.addr;
                link.fail(&KvsError::Connection { addr, cause });
            }
        }
        self.link = None;
        Ok(Async::Ready(()))
    }
}

impl Drop for Driver {
    /// Fails the requests in flight. A runtime that shuts down drops its tasks.
    fn drop(&mut self) {
        if let Some(link) = &mut self.link {
            link.fail(&abandoned(self.addr));
        }
    }
}

/// A connection that works.
struct Link {
    socket: ReadJson<Frames, Response>,
    queue: Receiver,
    /// A piece of a request that has left the queue, for which the socket's buffer had no room.
    unsent: Option<Bytes>,
    /// The rest of that request.
    rest: Bytes,
    /// The oneshots of the requests that wait for a reply, in the order of the requests.
    in_flight: VecDeque<(Kind, oneshot::Sender<crate::Result<Response>>)>,
    /// Runs after a long reply, until the buffer is shrunk.
    grown: Option<Delay>,
}

impl Link {
    /// Does everything that can be done now. Ready when all handles and futures are dropped.
    fn turn(&mut self) -> Poll<(), ConnectionError> {
        loop {
            if self.queue.is_unused() {
                return Ok(Async::Ready(()));
            }
            let sent = self.send_requests();
            let was_full = self.is_full();
            // If sending fails, the server may still have said why it has closed the connection.
            self.receive_replies()?;
            let is_flushed = sent?.is_ready();

            // The queue wakes this task only after the task has found it empty, and the task does
            // not look at it while too many requests are in flight. So if the replies have made
            // room, the task has to look now.
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

    /// Takes requests from the queue until it is empty or enough are in flight, and sends them
    /// together until the socket's buffer is full. Ready when all of them are sent.
    fn send_requests(&mut self) -> Poll<(), ConnectionError> {
        loop {
            while let Some(piece) = self.unsent.take() {
                if let AsyncSink::NotReady(piece) = self.socket.start_send(piece)? {
                    self.unsent = Some(piece);
                    break;
                }
                if !self.rest.is_empty() {
                    let len = self.rest.len().min(PIECE);
                    self.unsent = Some(self.rest.split_to(len));
                }
            }
            if self.is_full() {
                break;
            }
            let Some(call) = self.queue.next_call() else {
                break;
            };
            self.unsent = Some(protocol::prefix(&call.body)?);
            self.rest = call.body;
            self.in_flight.push_back((call.kind, call.reply));
        }
        self.socket.poll_complete()
    }

    /// Passes each reply that has arrived to its request. Fails if no more replies can arrive.
    fn receive_replies(&mut self) -> Result<(), ConnectionError> {
        while let Async::Ready(reply) = self.next_reply()? {
            let reply = reply.ok_or(ConnectionError::Closed)?;
            let Some(&(expected, _)) = self.in_flight.front() else {
                return Err(reply.into_unexpected());
            };
            if let Some(got) = reply.kind()
                && got != expected
            {
                return Err(ConnectionError::WrongReply { expected, got });
            }
            if let Some((_, waiting)) = self.in_flight.pop_front() {
                answer(waiting, Ok(reply));
            }
        }
        Ok(())
    }

    /// Returns the next reply that has arrived. `ReadJson` would read it byte by byte, which would
    /// be more than half of the client's work. So this reads a plain reply without it.
    fn next_reply(&mut self) -> Poll<Option<Response>, ConnectionError> {
        let frames = self.socket.get_mut();
        let frame = try_ready!(frames.peek());
        if frame.is_some_and(|frame| frame.len() > LONG) {
            let soon = || Delay::new(Instant::now() + MOMENT);
            self.grown.get_or_insert_with(soon);
        }
        let Some(reply) = frame.and_then(|frame| protocol::read_plain_reply(frame)) else {
            return self.socket.poll();
        };
        frames.poll()?;
        Ok(Async::Ready(Some(reply)))
    }

    /// Returns whether the buffer has grown and it is time to shrink it.
    fn has_grown(&mut self) -> bool {
        match &mut self.grown {
            // If the executor has no timer, this is an error. Then the buffer shrinks at once.
            Some(delay) => !matches!(delay.poll(), Ok(Async::NotReady)),
            None => false,
        }
    }

    /// Replaces the buffer by one that is as long as its contents.
    fn shrink(self) -> Link {
        let mut parts = self.socket.into_inner().framed.into_parts();
        parts.read_buf = parts.read_buf[..].into();
        Link {
            socket: ReadJson::new(Frames::new(parts)),
            grown: None,
            ..self
        }
    }

    fn fail(&mut self, error: &KvsError) {
        for (_, waiting) in mem::take(&mut self.in_flight) {
            answer(waiting, Err(error.clone()));
        }
        self.queue.end(error);
    }
}

/// A stream of the frames of a socket, which can peek at the next frame. Unlike `Peekable`, it can
/// be taken apart.
struct Frames {
    framed: Framed<TcpStream, Pieces>,
    next: Option<BytesMut>,
}

impl Frames {
    fn new(parts: FramedParts<TcpStream, Pieces>) -> Frames {
        Frames {
            framed: Framed::from_parts(parts),
            next: None,
        }
    }

    /// Returns the next frame without taking it, or `None` at the end.
    fn peek(&mut self) -> Poll<Option<&BytesMut>, ConnectionError> {
        if self.next.is_none() {
            self.next = try_ready!(self.framed.poll());
        }
        Ok(Async::Ready(self.next.as_ref()))
    }
}

impl Stream for Frames {
    type Item = BytesMut;
    type Error = ConnectionError;

    fn poll(&mut self) -> Poll<Option<BytesMut>, ConnectionError> {
        match self.next.take() {
            None => self.framed.poll(),
            next => Ok(Async::Ready(next)),
        }
    }
}

impl Sink for Frames {
    type SinkItem = Bytes;
    type SinkError = ConnectionError;

    fn start_send(&mut self, piece: Bytes) -> StartSend<Bytes, ConnectionError> {
        self.framed.start_send(piece)
    }

    fn poll_complete(&mut self) -> Poll<(), ConnectionError> {
        self.framed.poll_complete()
    }
}

/// A codec that decodes whole frames, and encodes frames in pieces. So the buffer for requests does
/// not grow to the longest of them and stay that large.
struct Pieces;

impl Decoder for Pieces {
    type Item = BytesMut;
    type Error = ConnectionError;

    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<BytesMut>, ConnectionError> {
        FrameCodec.decode(src)
    }

    fn decode_eof(&mut self, src: &mut BytesMut) -> Result<Option<BytesMut>, ConnectionError> {
        FrameCodec.decode_eof(src)
    }
}

impl Encoder for Pieces {
    type Item = Bytes;
    type Error = ConnectionError;

    fn encode(&mut self, piece: Bytes, dst: &mut BytesMut) -> Result<(), ConnectionError> {
        dst.extend_from_slice(&piece);
        Ok(())
    }
}
