//! The limits of a server, for each peer and for all of them together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use crate::error::{KvsError, Result};
use crate::protocol::{MAX_FRAME_LEN, MAX_TOKEN_FRAME};

/// The number of descriptors for everything but connections: a store of 25 GB, and a few for the
/// server.
const MAX_FILES: usize = 512;

/// The limits of a server. `docs/protocol.md` says how a client notices that it has reached one.
///
/// ```
/// let mut limits = kvs::server::Limits::default();
/// limits.connections = 100;
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The length in bytes of the longest frame that the server reads, at most [`MAX_FRAME_LEN`].
    pub frame_bytes: usize,
    /// The number of requests of one connection in flight, at least one. Further requests stay in
    /// the socket.
    pub in_flight: usize,
    /// The number of connections at a time. The server tells further peers so and closes their
    /// connections. If these are many, it only closes them.
    pub connections: usize,
    /// The memory in bytes for all connections together: requests that have arrived, requests in
    /// the engine, and replies to be sent. If a connection needs more, the server tells its peer so
    /// and closes it.
    pub memory_bytes: usize,
    /// The number of network threads, at least one, and so of cores that connections may keep busy.
    /// The other cores are for the engine, for the system's part of the network, and for other
    /// programs on the machine, such as clients.
    pub threads: usize,
    /// The time from the first byte of a frame to its last, and from the connection to its
    /// authentication.
    pub frame_time: Duration,
    /// The time in which a peer has to receive all replies that wait for it.
    pub reply_time: Duration,
    /// The time that a shutdown leaves for the requests in flight.
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

    /// Returns the number of connections over the limit that may be told so at a time.
    pub(super) fn refusals(&self) -> usize {
        (self.connections / 8).clamp(1, 100)
    }

    /// Asks the system for enough descriptors for all connections and for the files of an engine.
    /// If the system gives fewer, lowers the number of connections. Returns that number.
    ///
    /// # Errors
    ///
    /// [`KvsError::Io`] if the system does not report its limit.
    pub fn reserve_descriptors(&mut self) -> Result<usize> {
        let wanted = self.connections.saturating_add(MAX_FILES);
        let given = rlimit::increase_nofile_limit(wanted as u64)
            .map_err(KvsError::io("raise the limit on descriptors"))?;
        let given = usize::try_from(given).unwrap_or(usize::MAX);
        let files = MAX_FILES.min(given / 2);
        self.connections = self.connections.min(given - files);
        Ok(self.connections)
    }
}

/// A budget of bytes, or of connections, that all connections share.
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

    /// Returns an empty share of the budget.
    pub(super) fn share(self: &Arc<Budget>) -> Share {
        Share {
            budget: Arc::clone(self),
            taken: 0,
        }
    }
}

/// The share of a [`Budget`] that one connection has. Dropping it returns it to the budget.
#[derive(Debug)]
pub(super) struct Share {
    budget: Arc<Budget>,
    taken: usize,
}

impl Share {
    /// Resizes the share to `size`. If that would exceed the budget, changes nothing and returns
    /// `false`.
    pub(super) fn resize(&mut self, size: usize) -> bool {
        let taken = &self.budget.taken;
        if size < self.taken {
            taken.fetch_sub(self.taken - size, Ordering::Relaxed);
        } else if size > self.taken {
            // One atomic step: if this added first and checked later, a large request that fails
            // could make a small one of another connection fail.
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
    fn a_share_that_may_not_grow_takes_nothing_from_others() {
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
