//! Where in the log each key's value is, and the values themselves where they were in use lately.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ahash::RandomState;
use indexmap::IndexMap;
use indexmap::map::raw_entry_v1::{RawEntryApiV1, RawEntryMut};
use smol_str::SmolStr;

use super::segment::{Generation, Segment};

/// The longest value that is kept. Copying a longer one takes as long as asking the system for it.
const MAX_KEPT: usize = 16 * 1024;

/// Roughly what a value takes besides its bytes.
const OVERHEAD: u64 = 16;

/// The place of a record: enough to read it with a single call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Location {
    pub(super) offset: u64,
    pub(super) generation: Generation,
    pub(super) len: u32,
}

/// A location, and the segment that can read what is there.
#[derive(Debug)]
pub(super) struct Place {
    pub(super) location: Location,
    pub(super) segment: Arc<Segment>,
}

/// What is known of a key.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) location: Location,
    value: Option<Box<str>>,
    /// Whether somebody has asked for the value since the hand last came by.
    is_in_use: AtomicBool,
}

impl Entry {
    /// The value, if it is in memory.
    pub(super) fn value(&self) -> Option<&str> {
        let value = self.value.as_deref()?;
        // Not again and again: that would take it away from the other processors each time.
        if !self.is_in_use.load(Ordering::Relaxed) {
            self.is_in_use.store(true, Ordering::Relaxed);
        }
        Some(value)
    }
}

/// Every key with the place of its newest record, and the open segments that they are in.
///
/// It also keeps values, so that reading one need not ask the system for it. When they take too
/// much, a hand goes round the entries and takes the value of each that was not in use since it last
/// came by: the algorithm known as CLOCK, or second chance.
#[derive(Debug, Default)]
pub(super) struct Index {
    /// In a table that numbers them, for the hand.
    entries: IndexMap<SmolStr, Entry, RandomState>,
    segments: HashMap<Generation, Arc<Segment>>,
    /// Bytes of all the records in `entries`.
    live_bytes: u64,
    /// Bytes of all the values in `entries`.
    kept_bytes: u64,
    max_kept_bytes: u64,
    hand: usize,
}

impl Index {
    /// Says how many bytes of values to keep. It is none at first.
    pub(super) fn keep_bytes(&mut self, bytes: u64) {
        self.max_kept_bytes = bytes;
    }

    pub(super) fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.get(key)
    }

    /// Whether a key's newest record is at `location`.
    pub(super) fn is_at(&self, key: &str, location: Location) -> bool {
        self.get(key)
            .is_some_and(|entry| entry.location == location)
    }

    /// The place of a key's record.
    pub(super) fn find(&self, key: &str) -> Option<Place> {
        let location = self.get(key)?.location;
        let segment = Arc::clone(&self.segments[&location.generation]);
        Some(Place { location, segment })
    }

    /// Notes the newest record of a key and, if it is at hand, the value.
    pub(super) fn put(&mut self, key: &str, location: Location, value: Option<Box<str>>) {
        let value = value.filter(|value| value.len() <= MAX_KEPT);
        self.live_bytes += u64::from(location.len);
        self.kept_bytes += size(value.as_deref());
        let is_in_use = AtomicBool::new(false);
        let new = Entry {
            location,
            value,
            is_in_use,
        };
        // Looking a key up once, and not again to put it in.
        let hash = self.entries.hasher().hash_one(key);
        let entry = self.entries.raw_entry_mut_v1();
        match entry.from_key_hashed_nocheck(hash, key) {
            RawEntryMut::Occupied(mut entry) => {
                let old = entry.insert(new);
                self.forget(old);
            }
            RawEntryMut::Vacant(entry) => {
                entry.insert_hashed_nocheck(hash, key.into(), new);
            }
        }
        self.make_room();
    }

    /// Makes room for so many more keys, which is faster than bit by bit.
    pub(super) fn reserve(&mut self, keys: usize) {
        self.entries.reserve(keys);
    }

    /// Notes that a key is gone.
    pub(super) fn remove(&mut self, key: &str) {
        if let Some(old) = self.entries.swap_remove(key) {
            self.forget(old);
        }
    }

    /// Notes that the record of a key was copied, unless that is not the newest one any more.
    pub(super) fn relocate(&mut self, key: &str, from: Location, to: Location) {
        if let Some(entry) = self.entries.get_mut(key)
            && entry.location == from
        {
            entry.location = to;
        }
    }

    /// Keeps the value that was read at `location`, unless the key has got another one.
    pub(super) fn keep(&mut self, key: &str, location: Location, value: &str) {
        if value.len() <= MAX_KEPT
            && let Some(entry) = self.entries.get_mut(key)
            && entry.location == location
            && entry.value.is_none()
        {
            entry.value = Some(value.into());
            self.kept_bytes += size(Some(value));
            self.make_room();
        }
    }

    fn forget(&mut self, old: Entry) {
        self.live_bytes -= u64::from(old.location.len);
        self.kept_bytes -= size(old.value.as_deref());
    }

    fn make_room(&mut self) {
        while self.kept_bytes > self.max_kept_bytes {
            self.hand = (self.hand + 1) % self.entries.len();
            let entry = &mut self.entries[self.hand];
            if !mem::take(entry.is_in_use.get_mut()) {
                self.kept_bytes -= size(entry.value.take().as_deref());
            }
        }
    }

    pub(super) fn add_segment(&mut self, segment: Arc<Segment>) {
        self.segments.insert(segment.generation, segment);
    }

    /// Forgets a segment that no location is in. Whoever is reading it keeps it open.
    pub(super) fn remove_segment(&mut self, generation: Generation) {
        self.segments.remove(&generation);
    }

    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }
}

fn size(value: Option<&str>) -> u64 {
    value.map_or(0, |value| value.len() as u64 + OVERHEAD)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> Location {
        Location {
            offset,
            generation: 1,
            len: 100,
        }
    }

    /// An index that has room for two values of 100 bytes.
    fn index() -> Index {
        let mut index = Index::default();
        index.keep_bytes(300);
        index
    }

    fn value(index: &Index, key: &str) -> Option<String> {
        index.get(key)?.value().map(str::to_owned)
    }

    fn put(index: &mut Index, key: &str, offset: u64) {
        let value = format!("{key:100}");
        index.put(key, at(offset), Some(value.into()));
    }

    #[test]
    fn values_that_are_in_use_outlast_those_that_are_not() {
        let mut index = index();
        put(&mut index, "used", 0);
        for n in 1..1000 {
            assert!(value(&index, "used").is_some());
            put(&mut index, &n.to_string(), n);
            let kept = (1..=n).filter(|n| index.entries[n.to_string().as_str()].value.is_some());
            assert_eq!(kept.count(), 1);
        }
        assert_eq!(index.len(), 1000);
    }

    #[test]
    fn what_is_kept_never_takes_more_than_was_said() {
        let mut index = index();
        for n in 0..1000 {
            let key = (n % 7).to_string();
            match n % 3 {
                0 => index.remove(&key),
                1 => put(&mut index, &key, n),
                _ => index.keep(&key, at(n - 1), &"x".repeat(n as usize)),
            }
            value(&index, &(n % 5).to_string());
            let sizes = index
                .entries
                .values()
                .map(|entry| size(entry.value.as_deref()));
            assert_eq!(sizes.sum::<u64>(), index.kept_bytes);
            assert!(index.kept_bytes <= 300);
            assert_eq!(index.live_bytes, 100 * index.len() as u64);
        }
    }

    #[test]
    fn a_value_is_kept_only_where_it_is_still_the_newest() {
        let mut index = index();
        index.put("key", at(0), None);
        index.put("key", at(1), None);
        index.keep("key", at(0), "old");
        assert_eq!(value(&index, "key"), None);
        index.keep("key", at(1), "new");
        assert_eq!(value(&index, "key").as_deref(), Some("new"));
        index.relocate("key", at(1), at(2));
        assert_eq!(value(&index, "key").as_deref(), Some("new"));
        index.put("key", at(3), None);
        assert_eq!(value(&index, "key"), None);
    }
}
