//! How long a commit with a sync waits for more requests.
//!
//! The clients that a sync has answered send their next requests at about the same time. A commit
//! that begins with the first of these leaves the others to the sync after it, so each sync serves
//! some of the clients, and each client waits for two syncs. The idea comes from `commit_delay` and
//! `commit_siblings` in `PostgreSQL`. The last commit gives both numbers here.

use std::time::Duration;

/// A commit waits for at most this part of the time that the last one took.
const PART: u32 = 4;

#[derive(Debug, Default)]
pub(super) struct Gather {
    /// The number of requests that were under way when the last commit ended.
    expected: usize,
    /// The time that the next commit may wait.
    patience: Duration,
    /// Whether a thread waits.
    is_running: bool,
}

impl Gather {
    /// Notes that a commit of `len` requests took `time`, and that `waiting` have arrived since it
    /// began.
    pub(super) fn commit_ended(&mut self, len: usize, time: Duration, waiting: usize) {
        self.expected = len + waiting;
        self.patience = time / PART;
    }

    /// Returns how long to wait, if `waiting` requests are too few and no other thread waits.
    pub(super) fn begin(&mut self, waiting: usize) -> Option<Duration> {
        let begins = !self.is_running && self.is_short(waiting);
        self.is_running |= begins;
        begins.then_some(self.patience)
    }

    pub(super) fn end(&mut self) {
        self.is_running = false;
    }

    pub(super) fn is_running(&self) -> bool {
        self.is_running
    }

    /// Returns whether `waiting` requests are fewer than expected.
    pub(super) fn is_short(&self, waiting: usize) -> bool {
        waiting < self.expected
    }
}
