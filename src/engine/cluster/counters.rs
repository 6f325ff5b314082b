//! The number of requests under way, and of batches and redirections so far.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use super::slots::Topology;
use crate::error::{KvsError, Result};

/// The most requests under way.
const MAX_JOBS: u64 = 100_000;

/// The most bytes of keys and values in requests under way.
const MAX_BYTES: u64 = 256 * 1024 * 1024;

/// One request, in a number whose lower bits count bytes: both change at once.
const JOB: u64 = 1 << 40;

/// Numbers and a map that the driver changes, and every handle reads.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// The requests under way, each a [`JOB`] and its bytes.
    held: AtomicU64,
    pub(super) batches: AtomicU64,
    pub(super) redirections: AtomicU64,
    pub(super) topology: Mutex<Arc<Topology>>,
}

/// The room that a request takes until it is answered.
#[derive(Debug)]
pub(super) struct Permit {
    counters: Arc<Counters>,
    size: u64,
}

impl Counters {
    /// Takes room for a request of `bytes` bytes.
    ///
    /// # Errors
    ///
    /// [`KvsError::Cluster`] if too much is under way. The order of a key does not allow a request
    /// to wait while later ones pass, so the caller has to try again.
    pub(super) fn permit(self: &Arc<Self>, bytes: usize) -> Result<Permit> {
        let size = JOB + bytes as u64;
        let held = self.held.fetch_add(size, Ordering::Relaxed);
        // If the request is refused, the drop of its permit takes it back.
        let permit = Permit {
            counters: Arc::clone(self),
            size,
        };
        let (jobs, held) = (held / JOB, held % JOB);
        // The first request may be of any length.
        if jobs >= MAX_JOBS || (held > 0 && held + bytes as u64 > MAX_BYTES) {
            let reason =
                format!("{jobs} requests with {held} bytes are under way; try again later");
            return Err(KvsError::Cluster { reason });
        }
        Ok(permit)
    }

    /// Returns whether requests are under way.
    pub(super) fn has_jobs(&self) -> bool {
        self.held.load(Ordering::Relaxed) > 0
    }

    pub(super) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(super) fn get(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    pub(super) fn topology(&self) -> Arc<Topology> {
        Arc::clone(&self.topology.lock())
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.counters.held.fetch_sub(self.size, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_over_the_limit_are_refused_until_others_are_answered() {
        let counters = Arc::<Counters>::default();
        let permits: Vec<_> = (0..MAX_JOBS).map(|_| counters.permit(1).unwrap()).collect();
        assert!(matches!(counters.permit(1), Err(KvsError::Cluster { .. })));
        drop(permits);
        assert!(!counters.has_jobs(), "a refused request takes nothing");
        counters.permit(1).unwrap();
    }

    #[test]
    fn bytes_over_the_limit_are_refused_but_for_the_first_request() {
        let counters = Arc::<Counters>::default();
        let long = counters.permit(2 * MAX_BYTES as usize).unwrap();
        assert!(matches!(counters.permit(1), Err(KvsError::Cluster { .. })));
        drop(long);
        let _half = counters.permit(MAX_BYTES as usize / 2).unwrap();
        counters.permit(MAX_BYTES as usize / 2).unwrap();
    }
}
