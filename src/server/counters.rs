//! The counters of a server.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;

use crate::protocol::{ErrorCode, Kind, Response};

/// The counters since the server was started.
#[derive(Debug)]
pub(super) struct Counters {
    pub(super) started: Instant,
    pub(super) accepted: AtomicU64,
    pub(super) wrong_tokens: AtomicU64,
    requests: [AtomicU64; Kind::ALL.len()],
    /// Errors are rare, so a lock costs little.
    errors: Mutex<HashMap<ErrorCode, u64>>,
}

impl Default for Counters {
    fn default() -> Counters {
        Counters {
            started: Instant::now(),
            accepted: AtomicU64::default(),
            wrong_tokens: AtomicU64::default(),
            requests: Default::default(),
            errors: Mutex::default(),
        }
    }
}

impl Counters {
    pub(super) fn request(&self, kind: Kind) {
        self.requests[kind as usize].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn reply(&self, reply: &Response) {
        if let Response::Err { code, .. } = reply {
            *self.errors.lock().entry(code.clone()).or_default() += 1;
        }
    }

    /// Returns the number of requests of each kind.
    pub(super) fn requests(&self) -> BTreeMap<String, u64> {
        let counted = Kind::ALL.iter().zip(&self.requests);
        counted
            .map(|(kind, n)| (kind.to_string(), n.load(Ordering::Relaxed)))
            .collect()
    }

    /// Returns the number of errors of each code.
    pub(super) fn errors(&self) -> BTreeMap<String, u64> {
        let counted = self.errors.lock();
        counted
            .iter()
            .map(|(code, n)| (code.to_string(), *n))
            .collect()
    }
}
