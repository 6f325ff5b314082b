//! Where in the log each key's value is.

use std::collections::HashMap;
use std::sync::Arc;

use super::segment::{Generation, Segment};

/// The place of a record: enough to read it with a single call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) offset: u64,
    pub(super) generation: Generation,
    pub(super) len: u32,
}

/// Every key with the place of its newest record, and the open segments that they are in.
#[derive(Debug, Default)]
pub(super) struct Index {
    locations: HashMap<Box<str>, Location>,
    segments: HashMap<Generation, Arc<Segment>>,
    /// Bytes of all the records in `locations`.
    live_bytes: u64,
}

impl Index {
    pub(super) fn get(&self, key: &str) -> Option<Location> {
        self.locations.get(key).copied()
    }

    /// The place of a key's record, with the segment that can read it.
    pub(super) fn find(&self, key: &str) -> Option<(Location, Arc<Segment>)> {
        let location = self.get(key)?;
        Some((location, Arc::clone(&self.segments[&location.generation])))
    }

    /// Notes the newest record of a key, or with `None` that the key is gone.
    pub(super) fn put(&mut self, key: &str, location: Option<Location>) {
        let old = match (self.locations.get_mut(key), location) {
            (Some(old), Some(new)) => Some(std::mem::replace(old, new)),
            (None, Some(new)) => self.locations.insert(key.into(), new),
            (_, None) => self.locations.remove(key),
        };
        self.live_bytes += location.map_or(0, |new| u64::from(new.len));
        self.live_bytes -= old.map_or(0, |old| u64::from(old.len));
    }

    pub(super) fn add_segment(&mut self, segment: Arc<Segment>) {
        self.segments.insert(segment.generation, segment);
    }

    /// Forgets a segment that no location is in. Whoever is reading it keeps it open.
    pub(super) fn remove_segment(&mut self, generation: Generation) {
        self.segments.remove(&generation);
    }

    pub(super) fn len(&self) -> usize {
        self.locations.len()
    }

    pub(super) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }
}
