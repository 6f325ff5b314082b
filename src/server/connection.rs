//! One connection: requests in, replies out, in the same order.

use futures::future::{self, Either};
use futures::{Async, Future, Poll, Stream};
use log::{debug, warn};
use tokio::net::TcpStream;

use super::shutdown::Signal;
use crate::engine::KvsEngine;
use crate::error::ConnectionError;
use crate::protocol::{self, Request, Response};

/// Answers the requests on `socket` one after the other until the peer closes, the connection
/// breaks or the server shuts down.
///
/// The next request starts when the engine is done with the one before, so requests take effect
/// in the order in which they were sent. Replies leave together: `forward` flushes only when
/// there is no further request to work on.
pub(super) fn serve<E: KvsEngine>(
    engine: E,
    socket: TcpStream,
    shutdown: Signal,
) -> impl Future<Item = (), Error = ()> + Send {
    let peer = match socket.peer_addr() {
        Ok(peer) => peer.to_string(),
        Err(_) => "a peer that is gone".to_owned(),
    };
    if let Err(error) = socket.set_nodelay(true) {
        debug!("{peer}: cannot set TCP_NODELAY: {error}");
    }
    debug!("{peer}: connected");

    let (replies, frames) = protocol::transport(socket).split();
    Requests {
        frames,
        shutdown,
        is_broken: false,
    }
    .and_then(move |request| match request {
        Ok(request) => Either::A(answer(&engine, request)),
        Err(error) => Either::B(future::ok(error.into())),
    })
    .forward(replies)
    .then(move |end| {
        match end {
            Ok(_) => debug!("{peer}: closed"),
            Err(error) => warn!("{peer}: closed: {error}"),
        }
        Ok(())
    })
}

/// The engine's answer as a reply. Every request gets one, so the error is never an `Err`.
fn answer<E: KvsEngine>(
    engine: &E,
    request: Request,
) -> impl Future<Item = Response, Error = ConnectionError> + Send + use<E> {
    let done = match request {
        Request::Get { key } => Either::A(engine.get(key).map(Response::Get)),
        Request::Set { key, value } => {
            Either::B(Either::A(engine.set(key, value).map(|()| Response::Set)))
        }
        Request::Remove { key } => {
            Either::B(Either::B(engine.remove(key).map(|()| Response::Remove)))
        }
    };
    done.then(|result| Ok(result.map_or_else(Response::from, Response::or_too_large)))
}

/// The requests of a connection, and in their places what is none.
struct Requests<S> {
    frames: S,
    shutdown: Signal,
    /// After a frame that is too long there is no telling where the next one begins.
    is_broken: bool,
}

impl<S> Stream for Requests<S>
where
    S: Stream<Item = Request, Error = ConnectionError>,
{
    type Item = Result<Request, ConnectionError>;
    type Error = ConnectionError;

    fn poll(&mut self) -> Poll<Option<Self::Item>, ConnectionError> {
        if self.is_broken || self.shutdown.is_shutdown() {
            return Ok(Async::Ready(None));
        }
        match self.frames.poll() {
            Ok(Async::NotReady) => Ok(Async::NotReady),
            Ok(Async::Ready(request)) => Ok(Async::Ready(request.map(Ok))),
            Err(error @ ConnectionError::BadFrame(_)) => Ok(Async::Ready(Some(Err(error)))),
            Err(error @ ConnectionError::FrameTooLong { .. }) => {
                self.is_broken = true;
                Ok(Async::Ready(Some(Err(error))))
            }
            // Nothing more can be read, but what is answered already may still be sent.
            Err(error) => {
                warn!("a connection broke: {error}");
                Ok(Async::Ready(None))
            }
        }
    }
}
