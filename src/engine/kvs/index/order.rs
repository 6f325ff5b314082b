//! The log in the order of the writes, for a reader that goes through it in sequence.
//!
//! The log begins with the newest compacted segment, which replaces all before it. From one segment
//! to the next, and within each, the sequence numbers of the records ascend. A compaction changes
//! where the log begins, and keeps the numbers.

use super::{Committed, Index};
use crate::engine::kvs::format::names::Generation;
use crate::engine::kvs::format::record::{Location, Salt};
use crate::engine::kvs::format::segment::Origin;

const HAS_SEGMENT: &str = "an open log has a segment";

impl Index {
    /// Returns the generation at which the log begins: that of the newest compacted segment, or 0.
    /// When it changes, the records that are alive have moved.
    pub(crate) fn base(&self) -> Generation {
        self.base
    }

    /// Returns the salt of all records.
    pub(crate) fn salt(&self) -> Salt {
        let newest = self.segments.values().next_back();
        newest.expect(HAS_SEGMENT).segment.salt
    }

    /// Returns the segment `generation`, if it is a part of the log.
    pub(crate) fn segment(&self, generation: Generation) -> Option<Committed> {
        let segment = self.segments.get(&generation);
        segment.filter(|_| self.base <= generation).cloned()
    }

    /// Returns the segment that follows the segment `generation` in the log.
    pub(crate) fn next_segment(&self, generation: Generation) -> Option<Committed> {
        let mut newer = self.segments.range(generation + 1..);
        newer.next().map(|(_, it)| it.clone())
    }

    /// Returns the segment in which the records after the write `sequence` begin.
    pub(crate) fn segment_after(&self, sequence: u64) -> Committed {
        let mut log = self.segments.range(self.base..).map(|(_, it)| it);
        let begins_before = |it: &&Committed| match it.segment.origin {
            Origin::Written { after } => after <= sequence,
            Origin::Compacted { .. } => true,
        };
        let last = log.clone().rfind(begins_before);
        last.or_else(|| log.next()).expect(HAS_SEGMENT).clone()
    }

    /// Returns whether the record of `key` at `location` is the newest one of the key. `location`
    /// is in a log that begins at `base`. If the log begins elsewhere now, returns `None`.
    pub(crate) fn is_newest(
        &self,
        key: &str,
        location: Location,
        base: Generation,
    ) -> Option<bool> {
        if base != self.base {
            return None;
        }
        let is_newest = self.location(key).is_some_and(|newest| {
            // If the location is before the log, readers have not been pointed at the copy in the
            // compacted segment yet, and nothing was written to the key since the copy.
            let is_copied = newest.generation < base && location.generation == base;
            newest == location || is_copied
        });
        Some(is_newest)
    }
}
