//! The state that all connections of a server share.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::counters::Counters;
use super::limits::{Budget, Limits};
use super::quiet_log::QuietLog;
use crate::stats::{EngineStats, Stats};
use crate::token::Token;

/// What all connections of a server have in common.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) token: Option<Token>,
    pub(super) memory: Arc<Budget>,
    pub(super) places: Arc<Budget>,
    /// For those who are only told that there are too many.
    pub(super) refusals: Arc<Budget>,
    pub(super) counters: Counters,
    pub(super) log: QuietLog,
}

impl Shared {
    pub(super) fn new(limits: Limits, token: Option<Token>) -> Shared {
        Shared {
            limits,
            token,
            memory: Budget::new(limits.memory_bytes),
            places: Budget::new(limits.connections),
            refusals: Budget::new(limits.refusals()),
            counters: Counters::default(),
            log: QuietLog::default(),
        }
    }

    pub(super) fn stats(&self, engine: EngineStats) -> Stats {
        let counters = &self.counters;
        Stats {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: counters.started.elapsed().as_secs(),
            connections: self.places.taken() as u64,
            connections_accepted: counters.accepted.load(Ordering::Relaxed),
            wrong_tokens: counters.wrong_tokens.load(Ordering::Relaxed),
            connection_bytes: self.memory.taken() as u64,
            requests: counters.requests(),
            errors: counters.errors(),
            engine,
        }
    }
}
