//! The keydir: the location in the log of each key's newest record. It is all in memory, with the
//! values that were used lately.

pub(crate) mod cache;
pub(crate) mod checkpoint;
pub(crate) mod few;
mod keys;
mod live;
mod order;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::hash::{self, BuildHasher};
use std::hint;
use std::mem;
use std::sync::Arc;

use ahash::RandomState;
use hashbrown::hash_table::{self, HashTable};

use self::cache::{Cache, MAX_CACHED_LEN, Slot};
use self::few::FEW;
use self::keys::Keys;
use self::live::LiveBytes;
use super::format::names::Generation;
use super::format::record::{self, Location};
use super::format::segment::Segment;

/// The place of a key's record when it was looked up, and the segment that can read it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) location: Location,
    pub(crate) segment: Arc<Segment>,
    /// The entry that had this location. Other keys may have come and gone since.
    entry: usize,
}

/// The reason why the number of an entry has 32 bits. An index of so many keys takes more than 200
/// GB of memory.
const FITS: &str = "a store has fewer than four billion keys";

/// The entry of one key. Opening a store takes as long as writing all entries to memory, so they
/// are short.
#[derive(Debug)]
struct Entry {
    location: Location,
    /// The offset of the key in [`Keys`].
    key: usize,
    /// The hash of the key, which finds the number of the entry when that changes.
    hash: u32,
    /// The value, if it is cached.
    value: Option<Slot>,
}

/// The number of an entry in the table of hashes. Beside the hash, the table grows and nearly every
/// lookup finds its entry without a look at the others, which are elsewhere in memory.
#[derive(Debug, Clone, Copy)]
struct Number {
    entry: u32,
    /// The hash of the key.
    hash: u32,
}

/// Every key with the location of its newest record, the open segments, and the cache of values.
#[derive(Debug)]
pub(crate) struct Index {
    /// The entries, in the order in which their keys came, because scattered writes to memory are
    /// slow. When one is removed, the last takes its place.
    entries: Vec<Entry>,
    /// The number of the entry of each key.
    numbers: HashTable<Number>,
    hasher: RandomState,
    /// The seed of `hasher`. A checkpoint keeps it, so that the keys can be inserted in the order
    /// of their hashes.
    seed: Seed,
    keys: Keys,
    cache: Cache,
    segments: BTreeMap<Generation, Committed>,
    /// The output of the last compaction, which replaces other segments.
    output: Option<Arc<Segment>>,
    /// Bytes of the records of all entries.
    live: LiveBytes,
}

/// A segment, and the end of its committed records. A reader must not use the bytes after it.
#[derive(Debug, Clone)]
pub(crate) struct Committed {
    pub(crate) segment: Arc<Segment>,
    pub(crate) end: u64,
}

/// A secret that the hashes of keys depend on. Without it, a client could choose keys with the same
/// hash, which make every lookup slow.
pub(crate) type Seed = [u64; 4];

impl Default for Index {
    fn default() -> Index {
        // The standard library seeds its hash maps from the system's source of random numbers.
        let random = hash::RandomState::new();
        Index::new([0, 1, 2, 3].map(|n| random.hash_one(n)))
    }
}

/// The entry of a key, as [`Index::lookup`] finds it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lookup<'a> {
    index: &'a Index,
    entry: usize,
}

impl<'a> Lookup<'a> {
    fn entry(self) -> &'a Entry {
        &self.index.entries[self.entry]
    }

    /// Returns the value, if it is cached.
    pub(crate) fn value(self) -> Option<&'a str> {
        let slot = self.entry().value?;
        Some(self.index.cache.get(slot))
    }

    pub(crate) fn location(self) -> Location {
        self.entry().location
    }

    /// Returns the place of the newest record.
    pub(crate) fn place(self) -> Place {
        let location = self.location();
        Place {
            location,
            // The index gets a segment before the first location in it, and loses it after the
            // last.
            segment: Arc::clone(&self.index.segments[&location.generation].segment),
            entry: self.entry,
        }
    }
}

impl Number {
    /// Returns whether the entry is that of `key`, which has this hash.
    fn is_of(self, hash: u32, key: &str, entries: &[Entry], keys: &Keys) -> bool {
        self.hash == hash && keys.is_at(entries[self.entry as usize].key, key)
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
            cache: Cache::default(),
            segments: BTreeMap::new(),
            output: None,
            live: LiveBytes::default(),
        }
    }

    pub(crate) fn seed(&self) -> Seed {
        self.seed
    }

    /// Sets the number of bytes of values to cache. It is 0 at first.
    pub(crate) fn set_cache_capacity(&mut self, bytes: u64) {
        self.cache.set_capacity(bytes);
    }

    /// Returns the entry of a key, if the key has a value.
    pub(crate) fn lookup(&self, key: &str) -> Option<Lookup<'_>> {
        let entry = self.number(key)?;
        Some(Lookup { index: self, entry })
    }

    /// Reads what the lookups of these keys are going to read, up to [`FEW`] of them.
    ///
    /// In a large index, a lookup waits for memory some five times: for the table, the entry, the
    /// key, the cached value and its bytes. Here no read needs the result of the one before it,
    /// except from pass to pass, so the processor waits for many of them at once.
    pub(crate) fn look_ahead<'k>(&self, keys: impl Iterator<Item = &'k str>) {
        // A smaller index is in the fastest caches of the processor, so its lookups wait little.
        const LARGE: usize = 2 * 1024;
        if self.len() < LARGE {
            return;
        }
        let mut hashes = [0; FEW];
        let known = hashes.iter_mut().zip(keys);
        let len = known.map(|(hash, key)| *hash = self.hash(key)).count();
        let mut entries = [0; FEW];
        for (entry, hash) in entries.iter_mut().zip(&hashes[..len]) {
            // Two keys with the same hash are rare, and the wrong one does no harm.
            let number = self.numbers.find(spread(*hash), |n| n.hash == *hash);
            *entry = number.map_or(0, |n| n.entry);
        }
        let mut values = [""; FEW];
        let mut seen = 0;
        for (value, n) in values.iter_mut().zip(&entries[..len]) {
            let entry = &self.entries[*n as usize];
            seen ^= self.keys.first_byte(entry.key);
            *value = entry.value.map_or("", |slot| self.cache.peek(slot));
        }
        for value in &values[..len] {
            seen ^= value.as_bytes().first().copied().unwrap_or_default();
        }
        // Without this, the compiler would leave the reads out.
        hint::black_box(seen);
    }

    /// Returns the location of a key's newest record.
    pub(crate) fn location(&self, key: &str) -> Option<Location> {
        self.lookup(key).map(Lookup::location)
    }

    /// Returns the entry `n` if its newest record is still at `location`.
    fn entry_at(&self, n: usize, location: Location) -> Option<&Entry> {
        // A location belongs to one record, and a record to one key, so no keys are compared. An
        // entry that has moved to another number is not found, which only costs a read.
        let entry = self.entries.get(n)?;
        (entry.location == location).then_some(entry)
    }

    /// Returns the value of the record at `place`, if it is cached.
    pub(crate) fn value_at(&self, place: &Place) -> Option<&str> {
        let slot = self.entry_at(place.entry, place.location)?.value?;
        Some(self.cache.get(slot))
    }

    /// Caches the value that was read at `place`, unless a newer one was written.
    pub(crate) fn cache_value(&mut self, place: &Place, value: &str) {
        self.cache_at(place.entry, place.location, value);
    }

    fn cache_at(&mut self, n: usize, location: Location, value: &str) {
        if value.len() <= MAX_CACHED_LEN
            && let Some(Entry { value: None, .. }) = self.entry_at(n, location)
        {
            self.entries[n].value = self.cache.insert(value, n);
            self.evict();
        }
    }

    /// Returns every key with the location of its newest record, in the order of the hashes in the
    /// table. Inserting them in that order into an index of the same seed takes half the time.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, Location)> {
        let entries = self.numbers.iter().map(|n| &self.entries[n.entry as usize]);
        entries.map(|entry| (self.keys.get(entry.key), entry.location))
    }

    /// Sets the newest record of a key. Caches `value`, if there is one. It has at most
    /// [`MAX_CACHED_LEN`] bytes.
    pub(crate) fn put(&mut self, key: &str, location: Location, value: Option<&str>) {
        let hash = self.hash(key);
        self.live.add(location);
        let (entries, keys) = (&self.entries, &self.keys);
        let is_it = |n: &Number| n.is_of(hash, key, entries, keys);
        let number = self.numbers.entry(spread(hash), is_it, |n| spread(n.hash));
        let n = match number {
            hash_table::Entry::Occupied(number) => {
                let n = number.get().entry as usize;
                let old = mem::replace(&mut self.entries[n].location, location);
                self.live.remove(old);
                n
            }
            hash_table::Entry::Vacant(vacant) => {
                let n = self.entries.len();
                let entry = u32::try_from(n).expect(FITS);
                vacant.insert(Number { entry, hash });
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
        match (entry.value, value) {
            (Some(slot), Some(value)) => self.cache.replace(slot, value),
            (None, Some(value)) => entry.value = self.cache.insert(value, n),
            // The cached value is that of an older record.
            (Some(slot), None) => self.uncache(slot),
            (None, None) => {}
        }
        self.evict();
    }

    /// Makes room for `keys` more keys of `bytes` bytes in all, which is faster than to grow with
    /// each.
    pub(crate) fn reserve(&mut self, keys: usize, bytes: usize) {
        self.entries.reserve(keys);
        self.keys.reserve(keys, bytes);
        self.numbers.reserve(keys, |n| spread(n.hash));
    }

    /// Removes a key.
    pub(crate) fn remove(&mut self, key: &str) {
        let hash = self.hash(key);
        let is_it = |n: &Number| n.is_of(hash, key, &self.entries, &self.keys);
        let Ok(number) = self.numbers.find_entry(spread(hash), is_it) else {
            return;
        };
        let n = number.remove().0.entry as usize;
        // The cache knows entries by their numbers, so this comes before any of them changes.
        if let Some(slot) = self.entries[n].value {
            self.uncache(slot);
        }
        let old = self.entries.swap_remove(n);
        self.live.remove(old.location);
        // The last entry is number `n` now. The table and the cache have its old number.
        let last = self.entries.len();
        if let Some(moved) = self.entries.get(n) {
            let number = self
                .numbers
                .find_mut(spread(moved.hash), |n| n.entry as usize == last);
            number.expect("every entry has a number").entry = n as u32;
            if let Some(slot) = moved.value {
                self.cache.set_owner(slot, n);
            }
        }
        self.keys.forget(key);
        if self.keys.are_mostly_dead() {
            self.copy_keys();
        }
    }

    /// Copies the keys that are in use, which frees the bytes of the others.
    fn copy_keys(&mut self) {
        let mut keys = Keys::default();
        for entry in &mut self.entries {
            entry.key = keys.add(self.keys.get(entry.key));
        }
        self.keys = keys;
    }

    /// Notes that the record of a key was copied to a later segment, unless the key has a record
    /// that is newer than the copy.
    pub(crate) fn relocate(&mut self, key: &str, to: Location) {
        // Records that are written while a compaction runs go to segments after its output. So an
        // earlier segment has the record that was copied.
        if let Some(n) = self.number(key)
            && self.entries[n].location.generation < to.generation
        {
            let from = mem::replace(&mut self.entries[n].location, to);
            self.live.add(to);
            self.live.remove(from);
        }
    }

    /// Drops values until the others fit into the cache.
    fn evict(&mut self) {
        while let Some(slot) = self.cache.next_victim() {
            self.uncache(slot);
        }
    }

    fn uncache(&mut self, slot: Slot) {
        self.entries[self.cache.owner(slot)].value = None;
        // The last value takes the slot.
        if let Some(owner) = self.cache.remove(slot) {
            self.entries[owner].value = Some(slot);
        }
    }

    fn number(&self, key: &str) -> Option<usize> {
        let hash = self.hash(key);
        let is_it = |n: &Number| n.is_of(hash, key, &self.entries, &self.keys);
        let number = self.numbers.find(spread(hash), is_it);
        number.map(|n| n.entry as usize)
    }

    fn hash(&self, key: &str) -> u32 {
        // Half of the bits keep an entry short. Keys with the same hash differ in their bytes.
        self.hasher.hash_one(key) as u32
    }

    /// Adds a segment, or replaces it. Its committed records end at `end`.
    pub(crate) fn add_segment(&mut self, segment: Arc<Segment>, end: u64) {
        let generation = segment.generation;
        self.segments.insert(generation, Committed { segment, end });
    }

    /// Adds the output of a compaction. From now on, the segments that it replaces are not a part
    /// of the log, but readers may still be pointed at them.
    pub(crate) fn add_output(&mut self, output: Arc<Segment>, end: u64) {
        self.output = Some(Arc::clone(&output));
        self.add_segment(output, end);
    }

    /// Notes that more records of a segment are committed. They end at `end`.
    pub(crate) fn set_end(&mut self, generation: Generation, end: u64) {
        if let Some(committed) = self.segments.get_mut(&generation) {
            committed.end = end;
        }
    }

    /// Forgets a segment that has no newest record of any key. A pending read keeps it open.
    pub(crate) fn remove_segment(&mut self, generation: Generation) {
        self.live.forget(generation);
        self.segments.remove(&generation);
    }

    /// Returns the number of keys.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn live_bytes(&self) -> u64 {
        self.live.all()
    }

    /// Returns the live bytes of one segment. While a segment is sealed, they only decrease.
    pub(crate) fn live_bytes_of(&self, generation: Generation) -> u64 {
        self.live.of_segment(generation)
    }

    /// Returns the number of bytes that the hints of all records take, at most.
    pub(crate) fn hint_bytes(&self) -> u64 {
        (self.len() * record::HEADER_LEN + self.keys.len()) as u64
    }
}

/// Returns 64 bits for the table, which uses the first and the last bits of a hash.
fn spread(hash: u32) -> u64 {
    u64::from(hash) << 32 | u64::from(hash)
}
