//! The accept loop, which only a shutdown ends.

use std::io::{self, ErrorKind};
use std::mem;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use futures::{Async, Future, Poll, Stream, task, try_ready};
use log::{debug, warn};
use tokio::net::TcpListener;
use tokio::timer::Delay;

use super::shutdown::ShutdownSignal;

/// The time without new connections after the system had no descriptor or memory for one.
const PAUSE: Duration = Duration::from_millis(100);

/// A stream of the sockets that connect, until the shutdown.
pub(super) struct Accept {
    listener: TcpListener,
    shutdown: ShutdownSignal,
    /// Runs while the system is short of something.
    pause: Option<Delay>,
    /// Whether the last poll has returned a connection. Then the other tasks of this thread run
    /// before the next connection: some of them may be about to end and make room for it.
    is_turn_over: bool,
}

impl Accept {
    pub(super) fn new(listener: TcpListener, shutdown: ShutdownSignal) -> Accept {
        Accept {
            listener,
            shutdown,
            pause: None,
            is_turn_over: false,
        }
    }
}

impl Stream for Accept {
    type Item = TcpStream;
    type Error = ();

    fn poll(&mut self) -> Poll<Option<TcpStream>, ()> {
        loop {
            if self.shutdown.is_shutdown() {
                return Ok(Async::Ready(None));
            }
            if let Some(pause) = &mut self.pause {
                // The timer fails only if its runtime shuts down.
                try_ready!(pause.poll().map_err(|_| ()));
                self.pause = None;
            }
            if mem::take(&mut self.is_turn_over) {
                task::current().notify();
                return Ok(Async::NotReady);
            }
            match self.listener.poll_accept_std() {
                Ok(Async::Ready((socket, _))) => {
                    self.is_turn_over = true;
                    return Ok(Async::Ready(Some(socket)));
                }
                Ok(Async::NotReady) => return Ok(Async::NotReady),
                Err(error) if is_about_one_connection(&error) => {
                    debug!("a peer disconnected before it was accepted: {error}");
                }
                Err(error) => {
                    warn!("cannot accept connections, trying again in {PAUSE:?}: {error}");
                    self.pause = Some(Delay::new(Instant::now() + PAUSE));
                }
            }
        }
    }
}

/// Returns whether the error is about one peer that has disconnected. Other errors mean that the
/// system has run out of something.
fn is_about_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_that_went_away_is_no_reason_to_pause() {
        for kind in [ErrorKind::ConnectionAborted, ErrorKind::ConnectionReset] {
            assert!(is_about_one_connection(&kind.into()));
        }
        // The system's "too many open files", which has no kind of its own.
        let too_many_files = io::Error::from_raw_os_error(24);
        assert!(!is_about_one_connection(&too_many_files));
    }
}
