//! What a peer may ask of the server, and what all of them together may.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::error::{KvsError, Result};
use crate::protocol::{MAX_FRAME_LEN, MAX_TOKEN_FRAME};

/// Descriptors for whatever is no connection: a store of 25 GB, and a few for the server.
const MAX_FILES: usize = 512;

/// The limits of a server. Each has a flag of `kvs-server`; `docs/protocol.md` says what a client
/// meets that goes over one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The longest frame that is read, in bytes. No more than [`MAX_FRAME_LEN`] has an effect.
    pub frame_bytes: usize,
    /// Requests of one connection that are worked on at once, at least one. Further ones are left
    /// in the socket.
    pub in_flight: usize,
    /// Connections at a time. Further ones are told so and closed, or just closed where they are
    /// many.
    pub connections: usize,
    /// Bytes that all connections may hold together: what has arrived, what the engine works on and
    /// what waits to be sent. One that would need more is told so and closed.
    pub memory_bytes: usize,
    /// Threads for the network, and so the cores that connections may keep busy, at least one. The
    /// others are for the engine, for the system's part of the network, and for whoever else is on
    /// the machine: where a client and a thread have to share a core, both wait for their turns.
    pub threads: usize,
    /// The time from the first byte of a frame to its last, and from the connection to its
    /// authentication.
    pub frame_time: Duration,
    /// The time in which a peer has to take the replies that wait for it, all of them.
    pub reply_time: Duration,
    /// The time that a shutdown leaves for what is in flight.
    pub shutdown_time: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            frame_bytes: MAX_FRAME_LEN,
            in_flight: 256,
            connections: 10_000,
            memory_bytes: 512 * 1024 * 1024,
            threads: thread::available_parallelism().map_or(1, |cores| cores.get().div_ceil(2)),
            frame_time: Duration::from_secs(30),
            reply_time: Duration::from_secs(30),
            shutdown_time: Duration::from_secs(10),
        }
    }
}

impl Limits {
    /// Returns the length in bytes of the longest frame that a peer may send now.
    pub(super) fn max_frame(&self, has_token: bool) -> usize {
        if has_token {
            self.frame_bytes
        } else {
            self.frame_bytes.min(MAX_TOKEN_FRAME)
        }
    }

    /// How many connections too many there may be for as long as it takes to tell them.
    pub(super) fn refusals(&self) -> usize {
        (self.connections / 8).clamp(1, 100)
    }

    /// Has the system give this process descriptors for all those connections and as many files as
    /// an engine is likely to open, or else makes do with fewer connections. Says how many there
    /// can be.
    ///
    /// # Errors
    ///
    /// [`KvsError::Io`] where the system does not say what it gives.
    pub fn reserve_descriptors(&mut self) -> Result<usize> {
        let wanted = self.connections.saturating_add(MAX_FILES);
        let given = rlimit::increase_nofile_limit(wanted as u64)
            .map_err(KvsError::io("ask for descriptors"))?;
        let given = usize::try_from(given).unwrap_or(usize::MAX);
        let files = MAX_FILES.min(given / 2);
        self.connections = self.connections.min(given - files);
        Ok(self.connections)
    }
}

/// Bytes, or connections, of which all together may have so many.
#[derive(Debug)]
pub(super) struct Budget {
    taken: AtomicUsize,
    max: usize,
}

impl Budget {
    pub(super) fn new(max: usize) -> Arc<Budget> {
        Arc::new(Budget {
            taken: AtomicUsize::new(0),
            max,
        })
    }

    pub(super) fn taken(&self) -> usize {
        self.taken.load(Ordering::Relaxed)
    }

    /// An empty share of it.
    pub(super) fn share(self: &Arc<Budget>) -> Share {
        Share {
            budget: Arc::clone(self),
            taken: 0,
        }
    }
}

/// What one connection has of a [`Budget`]. It is given back when this is dropped.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    taken: usize,
}

impl Share {
    /// Makes the share this large, unless it would have to grow and there is no more to be had.
    pub(super) fn resize(&mut self, size: usize) -> bool {
        let taken = &self.budget.taken;
        if size < self.taken {
            taken.fetch_sub(self.taken - size, Ordering::Relaxed);
        } else if size > self.taken {
            // In one step, so that nobody is refused because of another one who is.
            let grown = taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |taken| {
                let grown = taken.checked_add(size - self.taken)?;
                (grown <= self.budget.max).then_some(grown)
            });
            if grown.is_err() {
                return false;
            }
        }
        self.taken = size;
        true
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.resize(0);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;

    #[test]
    fn a_share_grows_while_there_is_enough_for_all_and_is_given_back() {
        let budget = Budget::new(10);
        let (mut first, mut second) = (budget.share(), budget.share());
        assert!(first.resize(6));
        assert!(!second.resize(5));
        assert!(second.resize(4));
        assert!(first.resize(5));
        assert!(second.resize(5));
        assert_eq!(budget.taken(), 10);
        drop(first);
        assert!(second.resize(10));
        assert!(!second.resize(11));
        drop(second);
        assert_eq!(budget.taken(), 0);
    }

    #[test]
    fn whoever_asks_for_too_much_takes_nothing_from_others() {
        let budget = Budget::new(10);
        let (mut greedy, mut modest) = (budget.share(), budget.share());
        let is_over = AtomicBool::new(false);
        thread::scope(|scope| {
            scope.spawn(|| {
                while !is_over.load(Ordering::Relaxed) {
                    assert!(!greedy.resize(usize::MAX));
                    assert!(!greedy.resize(11));
                }
            });
            let always = (0..100_000).all(|_| modest.resize(10) && modest.resize(0));
            is_over.store(true, Ordering::Relaxed);
            assert!(always);
        });
    }
}
