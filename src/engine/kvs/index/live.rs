//! The bytes of the newest records of all keys.

use std::collections::HashMap;

use ahash::RandomState;

use crate::engine::kvs::format::names::Generation;
use crate::engine::kvs::format::record::Location;

/// The number of live bytes, in all and in each segment.
#[derive(Debug, Default)]
pub(super) struct LiveBytes {
    all: u64,
    /// A `BTreeMap` would make opening a store of a million keys a fifth slower.
    segments: HashMap<Generation, u64, RandomState>,
}

impl LiveBytes {
    pub(super) fn all(&self) -> u64 {
        self.all
    }

    pub(super) fn of_segment(&self, generation: Generation) -> u64 {
        self.segments.get(&generation).copied().unwrap_or(0)
    }

    /// Counts a record that is now the newest one of its key.
    pub(super) fn add(&mut self, record: Location) {
        let len = u64::from(record.len);
        self.all += len;
        *self.segments.entry(record.generation).or_default() += len;
    }

    /// Stops counting a record that was added before.
    pub(super) fn remove(&mut self, record: Location) {
        let len = u64::from(record.len);
        self.all -= len;
        if let Some(bytes) = self.segments.get_mut(&record.generation) {
            *bytes -= len;
        }
    }

    /// Forgets a segment, which has no live bytes any more unless a checkpoint was forged.
    pub(super) fn forget(&mut self, generation: Generation) {
        self.segments.remove(&generation);
    }
}
