//! The bytes of the newest records of all keys.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use crate::engine::kvs::format::names::Generation;
use crate::engine::kvs::format::record::Location;

/// The number of live bytes, in all and in each segment.
#[derive(Debug, Default)]
pub(super) struct LiveBytes {
    all: u64,
    /// Only the segments that have live bytes.
    segments: BTreeMap<Generation, u64>,
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

    /// Counts a record no more that was added before.
    pub(super) fn remove(&mut self, record: Location) {
        let len = u64::from(record.len);
        self.all -= len;
        if let Entry::Occupied(mut bytes) = self.segments.entry(record.generation) {
            *bytes.get_mut() -= len;
            if *bytes.get() == 0 {
                bytes.remove();
            }
        }
    }
}
