//! The log in the order of the writes, for a reader that goes through it in sequence.
//!
//! From one segment to the next, and within each, the sequence numbers of the records ascend. A
//! compaction puts one segment in the place of others, and keeps the numbers.

use super::{Committed, Index};
use crate::engine::kvs::format::names::Generation;
use crate::engine::kvs::format::record::{Location, Salt};
use crate::engine::kvs::format::segment::Segment;

const HAS_SEGMENT: &str = "an open log has a segment";

impl Index {
    /// Returns the generation of the output of the last compaction, or 0. When it changes, some of
    /// the records that are alive have moved.
    pub(crate) fn base(&self) -> Generation {
        self.output.as_ref().map_or(0, |output| output.generation)
    }

    /// Returns the salt of all records.
    pub(crate) fn salt(&self) -> Salt {
        let newest = self.segments.values().next_back();
        newest.expect(HAS_SEGMENT).segment.salt
    }

    /// Returns whether the output of the last compaction has replaced a segment, to which readers
    /// may still be pointed.
    fn is_replaced(&self, segment: &Segment) -> bool {
        let output = self.output.as_ref();
        output.is_some_and(|output| output.replaces(segment))
    }

    /// Returns the segments of the log, from the segment `generation` on.
    fn log(&self, generation: Generation) -> impl DoubleEndedIterator<Item = &Committed> + Clone {
        let segments = self.segments.range(generation..).map(|(_, it)| it);
        segments.filter(|it| !self.is_replaced(&it.segment))
    }

    /// Returns the segment `generation`, if it is a part of the log.
    pub(crate) fn segment(&self, generation: Generation) -> Option<Committed> {
        let segment = self.segments.get(&generation);
        segment.filter(|it| !self.is_replaced(&it.segment)).cloned()
    }

    /// Returns the segment that follows the segment `generation` in the log.
    pub(crate) fn next_segment(&self, generation: Generation) -> Option<Committed> {
        self.log(generation + 1).next().cloned()
    }

    /// Returns the segment in which the records after the write `sequence` begin.
    pub(crate) fn segment_after(&self, sequence: u64) -> Committed {
        let begins_before = |it: &&Committed| it.segment.origin.before_first() <= sequence;
        let last = self.log(0).rfind(begins_before);
        let first = || self.log(0).next();
        last.or_else(first).expect(HAS_SEGMENT).clone()
    }

    /// Returns whether the record of `key` at `location` is the newest one of the key. `location`
    /// is in the log as it was at `base`. If it has changed since, returns `None`.
    pub(crate) fn is_newest(
        &self,
        key: &str,
        location: Location,
        base: Generation,
    ) -> Option<bool> {
        if base != self.base() {
            return None;
        }
        let is_newest = self.location(key).is_some_and(|newest| {
            // If the newest record is in a segment that is replaced, readers have not been pointed
            // at the copy yet, and nothing was written to the key since the copy.
            let is_copied = || {
                let segment = self.segments.get(&newest.generation);
                location.generation == base
                    && segment.is_some_and(|it| self.is_replaced(&it.segment))
            };
            newest == location || is_copied()
        });
        Some(is_newest)
    }
}
