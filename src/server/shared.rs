//! The state of a server that all its connections share: limits, budgets, statistics and log.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::counters::Counters;
use super::latency::Latencies;
use super::limits::{Budget, Limits, Share};
use super::quiet_log::QuietLog;
use crate::stats::{EngineStats, Stats};
use crate::token::Token;

/// The state that all connections of a server share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) limits: Limits,
    pub(super) token: Option<Token>,
    pub(super) memory: Arc<Budget>,
    pub(super) places: Arc<Budget>,
    /// For connections that only tell their peers that there are too many.
    pub(super) refusals: Arc<Budget>,
    pub(super) counters: Counters,
    pub(super) latencies: Latencies,
    pub(super) log: QuietLog,
}

/// The place of a connection, which is free again when this is dropped.
#[derive(Debug)]
pub(super) struct Place {
    _share: Share,
    /// Whether the connection only tells its peer that there are too many.
    pub(super) is_refusal: bool,
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
            latencies: Latencies::default(),
            log: QuietLog::default(),
        }
    }

    /// Takes a place for a connection, or else a place to refuse one. If there is neither, returns
    /// `None`.
    pub(super) fn take_place(&self) -> Option<Place> {
        let take = |budget: &Arc<Budget>, is_refusal| {
            let mut share = budget.share();
            let is_taken = share.resize(1);
            is_taken.then_some(Place {
                _share: share,
                is_refusal,
            })
        };
        take(&self.places, false).or_else(|| take(&self.refusals, true))
    }

    /// Returns the statistics of the server, with those of the engine.
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
            latencies: self.latencies.summary(),
            engine,
        }
    }
}
