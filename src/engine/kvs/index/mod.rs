//! Where in the log each key's value is, and the values themselves where they were in use lately.

pub(crate) mod cache;
pub(crate) mod checkpoint;

use std::collections::HashMap;
use std::hash::{self, BuildHasher};
use std::mem;
use std::sync::Arc;

use ahash::RandomState;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry as Numbered;

use crate::engine::kvs::format::names::Generation;
use crate::engine::kvs::format::record::Location;
use crate::engine::kvs::format::segment::Segment;
use crate::engine::kvs::index::cache::{MAX_KEPT, Slot, Values};

/// A location, and the segment that can read what is there.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) location: Location,
    pub(crate) segment: Arc<Segment>,
}

/// What is known of a key. Opening a store takes as long as writing all of them to memory, so they
/// are short.
#[derive(Debug)]
struct Entry {
    location: Location,
    /// Where it is in [`Keys`].
    key: usize,
    /// Of the key, so that the table can grow without looking at the keys.
    hash: u32,
    /// Where its value is, if that is in memory.
    value: Option<Slot>,
}

/// Every key with the place of its newest record, and the open segments that they are in.
///
/// It also keeps values, so that reading one need not ask the system for it.
#[derive(Debug)]
pub(crate) struct Index {
    /// In the order in which they came, since memory is slow to be written here and there. One that
    /// is gone has the last in its place.
    entries: Vec<Entry>,
    /// Which entry is a key's.
    numbers: HashTable<usize>,
    hasher: RandomState,
    /// What `hasher` was made from, so that an index can be made again with its keys in their order.
    seed: Seed,
    keys: Keys,
    values: Values,
    segments: HashMap<Generation, Arc<Segment>>,
    /// Bytes of all the records in `entries`.
    live_bytes: u64,
}

/// A secret that decides on the order of keys, so that nobody can choose keys that collide.
pub(crate) type Seed = [u64; 4];

impl Default for Index {
    fn default() -> Index {
        // The standard library gets its own from the system's source of random numbers.
        let random = hash::RandomState::new();
        Index::new([0, 1, 2, 3].map(|n| random.hash_one(n)))
    }
}

impl Index {
    pub(crate) fn new(seed: Seed) -> Index {
        let [a, b, c, d] = seed;
        Index {
            entries: Vec::new(),
            numbers: HashTable::new(),
            hasher: RandomState::with_seeds(a, b, c, d),
            seed,
            keys: Keys::default(),
            values: Values::default(),
            segments: HashMap::new(),
            live_bytes: 0,
        }
    }

    pub(crate) fn seed(&self) -> Seed {
        self.seed
    }

    /// Says how many bytes of values to keep. It is none at first.
    pub(crate) fn keep_bytes(&mut self, bytes: u64) {
        self.values.max_bytes = bytes;
    }

    /// Where a key's newest record is, if it has one.
    pub(crate) fn location(&self, key: &str) -> Option<Location> {
        self.entry(key).map(|entry| entry.location)
    }

    /// A key's value, if it is in memory.
    pub(crate) fn value(&self, key: &str) -> Option<&str> {
        let slot = self.entry(key)?.value?;
        Some(self.values.get(slot))
    }

    /// The same, if its newest record is at `location`.
    pub(crate) fn value_at(&self, key: &str, location: Location) -> Option<&str> {
        let entry = self.entry(key)?;
        let slot = entry.value.filter(|_| entry.location == location)?;
        Some(self.values.get(slot))
    }

    /// The place of a key's record.
    pub(crate) fn find(&self, key: &str) -> Option<Place> {
        let location = self.location(key)?;
        let segment = Arc::clone(&self.segments[&location.generation]);
        Some(Place { location, segment })
    }

    /// Every key and where its newest record is, in the order of their hashes in the table. Where the
    /// seed is the same, putting them in again in that order takes half the time.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Location)> {
        let entries = self.numbers.iter().map(|n| &self.entries[*n]);
        entries.map(|entry| (self.keys.get(entry.key), entry.location))
    }

    /// Notes the newest record of a key and, if it is at hand, the value.
    pub(crate) fn put(&mut self, key: &str, location: Location, value: Option<Box<str>>) {
        let hash = self.hash(key);
        self.live_bytes += u64::from(location.len);
        let number = self.numbers.entry(
            spread(hash),
            |n| self.entries[*n].hash == hash && self.keys.is_at(self.entries[*n].key, key),
            |n| spread(self.entries[*n].hash),
        );
        let n = match number {
            Numbered::Occupied(number) => {
                let n = *number.get();
                let old = mem::replace(&mut self.entries[n].location, location);
                self.live_bytes -= u64::from(old.len);
                n
            }
            Numbered::Vacant(place) => {
                let n = self.entries.len();
                place.insert(n);
                self.entries.push(Entry {
                    location,
                    key: self.keys.add(key),
                    hash,
                    value: None,
                });
                n
            }
        };
        let entry = &mut self.entries[n];
        match (entry.value, value.filter(|value| value.len() <= MAX_KEPT)) {
            (Some(slot), Some(value)) => self.values.replace(slot, value),
            (None, Some(value)) => entry.value = self.values.add(value, n),
            (Some(slot), None) => self.drop_value(slot),
            (None, None) => {}
        }
        self.make_room();
    }

    /// Makes room for so many more keys of so many bytes, which is faster than bit by bit.
    pub(crate) fn reserve(&mut self, keys: usize, bytes: usize) {
        self.entries.reserve(keys);
        self.keys.bytes.reserve(bytes + keys);
        let entries = &self.entries;
        self.numbers.reserve(keys, |n| spread(entries[*n].hash));
    }

    /// Notes that a key is gone.
    pub(crate) fn remove(&mut self, key: &str) {
        let hash = spread(self.hash(key));
        let is_it = |n: &usize| self.keys.is_at(self.entries[*n].key, key);
        let Ok(number) = self.numbers.find_entry(hash, is_it) else {
            return;
        };
        let (n, _) = number.remove();
        if let Some(slot) = self.entries[n].value {
            self.drop_value(slot);
        }
        let old = self.entries.swap_remove(n);
        self.live_bytes -= u64::from(old.location.len);
        let last = self.entries.len();
        if let Some(moved) = self.entries.get(n) {
            let number = self.numbers.find_mut(spread(moved.hash), |n| *n == last);
            *number.expect("every entry has a number") = n;
            if let Some(slot) = moved.value {
                self.values.set_owner(slot, n);
            }
        }
        self.keys.forget(key);
        if self.keys.are_mostly_dead() {
            let mut keys = Keys::default();
            for entry in &mut self.entries {
                entry.key = keys.add(self.keys.get(entry.key));
            }
            self.keys = keys;
        }
    }

    /// Notes that the record of a key was copied, unless that is not the newest one any more.
    pub(crate) fn relocate(&mut self, key: &str, from: Location, to: Location) {
        if let Some(n) = self.number(key)
            && self.entries[n].location == from
        {
            self.entries[n].location = to;
        }
    }

    /// Keeps the value that was read at `location`, unless the key has got another one.
    pub(crate) fn keep(&mut self, key: &str, location: Location, value: &str) {
        let is_missing = |entry: &Entry| entry.location == location && entry.value.is_none();
        if value.len() <= MAX_KEPT && self.entry(key).is_some_and(is_missing) {
            self.put(key, location, Some(value.into()));
        }
    }

    fn make_room(&mut self) {
        while let Some(slot) = self.values.next_to_go() {
            self.drop_value(slot);
        }
    }

    fn drop_value(&mut self, slot: Slot) {
        self.entries[self.values.owner(slot)].value = None;
        if let Some(owner) = self.values.remove(slot) {
            self.entries[owner].value = Some(slot);
        }
    }

    fn entry(&self, key: &str) -> Option<&Entry> {
        self.number(key).map(|n| &self.entries[n])
    }

    fn number(&self, key: &str) -> Option<usize> {
        let is_it = |n: &usize| self.keys.is_at(self.entries[*n].key, key);
        self.numbers.find(spread(self.hash(key)), is_it).copied()
    }

    fn hash(&self, key: &str) -> u32 {
        self.hasher.hash_one(key) as u32
    }

    pub(crate) fn add_segment(&mut self, segment: Arc<Segment>) {
        self.segments.insert(segment.generation, segment);
    }

    /// Forgets a segment that no location is in. Whoever is reading it keeps it open.
    pub(crate) fn remove_segment(&mut self, generation: Generation) {
        self.segments.remove(&generation);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn live_bytes(&self) -> u64 {
        self.live_bytes
    }
}

/// The table looks at the first bits of a hash and at the last ones.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}

/// What ends each of the [`Keys`]: a byte that is in no text.
const END: u8 = 0xff;

/// The keys, one behind the other, which takes less than an allocation for each.
#[derive(Debug, Default)]
struct Keys {
    bytes: Vec<u8>,
    /// How many of the bytes are keys that are gone.
    dead: usize,
}

impl Keys {
    fn add(&mut self, key: &str) -> usize {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.push(END);
        at
    }

    fn is_at(&self, at: usize, key: &str) -> bool {
        let rest = self.bytes[at..].strip_prefix(key.as_bytes());
        rest.is_some_and(|rest| rest.first() == Some(&END))
    }

    fn get(&self, at: usize) -> &str {
        let end = self.bytes[at..].iter().position(|byte| *byte == END);
        let key = str::from_utf8(&self.bytes[at..][..end.expect("every key has an end")]);
        key.expect("a key is text")
    }

    fn forget(&mut self, key: &str) {
        self.dead += key.len() + 1;
    }

    fn are_mostly_dead(&self) -> bool {
        self.dead > self.bytes.len() / 2
    }
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
        index.value(key).map(str::to_owned)
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
            let kept = (1..=n).filter(|n| index.entry(&n.to_string()).unwrap().value.is_some());
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
            assert!(index.values.bytes() <= 300);
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

    #[test]
    fn keys_that_come_and_go_take_no_room_and_others_stay() {
        let mut index = index();
        index.put("", at(1), None);
        index.put("1", at(2), None);
        for n in 0..1000 {
            let key = format!("1{n:0100}");
            put(&mut index, &key, n);
            assert_eq!(index.location(&key), Some(at(n)));
            index.remove(&key);
            assert_eq!(index.location(&key), None);
            assert!(index.keys.bytes.len() < 300);
        }
        let all: HashMap<_, _> = index.iter().collect();
        assert_eq!(all, HashMap::from([("", at(1)), ("1", at(2))]));
    }
}
