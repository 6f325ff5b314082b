//! The requests of a connection that are in flight.

use std::panic::{self, AssertUnwindSafe};

use futures::{Async, Future, Poll};
use tokio::timer::Delay;

use crate::engine::EngineFuture;
use crate::error::{KvsError, Result};
use crate::protocol::{Kind, Response};

/// A request that is under way.
pub(super) struct InFlight {
    pub(super) reply: Pending,
    /// Bytes that it takes until it is answered, here or in the engine.
    pub(super) size: usize,
    /// Whether it is a write, or behind one. A read that comes next has to wait for that.
    pub(super) is_behind_writes: bool,
}

pub(super) enum Pending {
    Get(EngineFuture<Option<String>>),
    Write(Kind, EngineFuture<()>),
    /// `None` once it is sent.
    Known(Option<Response>),
    Later(Delay, Option<Response>),
}

impl Pending {
    /// Bytes of the value that is being read, as far as the engine knows.
    pub(super) fn value_size(&self) -> usize {
        match self {
            Pending::Get(value) => value.size(),
            _ => 0,
        }
    }

    /// The reply, when it is there. Every request gets one.
    pub(super) fn poll(&mut self) -> Async<Response> {
        let polled = match self {
            Pending::Get(value) => poll_guarded(value).map(|value| value.map(Response::Get)),
            Pending::Write(kind, done) => poll_guarded(done).map(|done| {
                done.map(|()| match kind {
                    Kind::Remove => Response::Remove,
                    _ => Response::Set,
                })
            }),
            Pending::Known(reply) => Ok(reply.take().map_or(Async::NotReady, Async::Ready)),
            Pending::Later(delay, reply) => match delay.poll() {
                Ok(Async::NotReady) => Ok(Async::NotReady),
                _ => Ok(reply.take().map_or(Async::NotReady, Async::Ready)),
            },
        };
        polled.unwrap_or_else(|error| Async::Ready(error.into()))
    }
}

pub(super) fn known(reply: Response) -> Pending {
    Pending::Known(Some(reply))
}

fn poll_guarded<T>(future: &mut EngineFuture<T>) -> Poll<T, KvsError> {
    guarded(|| future.poll()).and_then(|polled| polled)
}

/// Calls into the engine. A panic there costs the request an error, and nobody else anything.
pub(super) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T> {
    // What it was about is not looked at again: a future that panicked is dropped.
    panic::catch_unwind(AssertUnwindSafe(call)).map_err(|_| KvsError::EngineStopped {
        reason: "it panicked".to_owned(),
    })
}
