//! The cache of values in memory. It evicts by the algorithm known as CLOCK, or second chance: a
//! hand goes round the values and evicts each that was not read since the hand last passed.
//!
//! A crate for caches would hash and compare each key again. Here the entry of a key, which a
//! lookup has found already, has the slot of its value.

use std::mem;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};

/// The longest value that is cached. Copying a longer one takes as long as reading it from the
/// system.
pub(crate) const MAX_CACHED_LEN: usize = 16 * 1024;

/// Bytes of memory that a value takes besides its own, approximately.
const OVERHEAD: u64 = size_of::<Cached>() as u64 + 8;

/// The number of a value, plus 1. It is never 0, so that an `Option` of it takes no more room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Slot(NonZeroU32);

impl Slot {
    fn new(n: usize) -> Option<Slot> {
        let n = u32::try_from(n + 1).ok()?;
        NonZeroU32::new(n).map(Slot)
    }

    fn n(self) -> usize {
        self.0.get() as usize - 1
    }
}

#[derive(Debug)]
struct Cached {
    value: Box<str>,
    /// The number of the entry that has this slot. It takes half the room of a `usize`.
    owner: u32,
    /// Whether the value was read since the hand last passed.
    is_in_use: AtomicBool,
}

/// Values, without gaps: when one is removed, the last takes its slot.
#[derive(Debug, Default)]
pub(crate) struct Cache {
    cached: Vec<Cached>,
    bytes: u64,
    capacity: u64,
    hand: usize,
}

impl Cache {
    pub(crate) fn set_capacity(&mut self, bytes: u64) {
        self.capacity = bytes;
    }

    pub(crate) fn get(&self, slot: Slot) -> &str {
        let cached = &self.cached[slot.n()];
        // Only the first read writes the flag. A write takes the cache line away from the other
        // processors.
        if !cached.is_in_use.load(Ordering::Relaxed) {
            cached.is_in_use.store(true, Ordering::Relaxed);
        }
        &cached.value
    }

    /// Returns the value without noting its use.
    pub(crate) fn peek(&self, slot: Slot) -> &str {
        &self.cached[slot.n()].value
    }

    pub(crate) fn owner(&self, slot: Slot) -> usize {
        self.cached[slot.n()].owner as usize
    }

    /// Notes that the entry of a slot has a lower number now.
    pub(crate) fn set_owner(&mut self, slot: Slot, owner: usize) {
        self.cached[slot.n()].owner = owner as u32;
    }

    /// Adds a value, whose entry has the number `owner`. Returns `None` if there are no more slots,
    /// or if the number is too high.
    pub(crate) fn insert(&mut self, value: &str, owner: usize) -> Option<Slot> {
        let slot = Slot::new(self.cached.len())?;
        let owner = owner.try_into().ok()?;
        self.bytes += size(value);
        self.cached.push(Cached {
            value: value.into(),
            owner,
            is_in_use: AtomicBool::new(false),
        });
        Some(slot)
    }

    pub(crate) fn replace(&mut self, slot: Slot, value: &str) {
        let cached = &mut self.cached[slot.n()];
        self.bytes += size(value);
        self.bytes -= size(&cached.value);
        // A value of the same length takes the place of the old one without an allocation.
        let mut same = mem::take(&mut cached.value).into_string();
        same.clear();
        same.reserve_exact(value.len());
        same.push_str(value);
        cached.value = same.into();
        *cached.is_in_use.get_mut() = false;
    }

    /// Removes a value. Returns the owner of the value that has taken its slot, if one has.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<usize> {
        self.bytes -= size(&self.cached.swap_remove(slot.n()).value);
        self.cached.get(slot.n()).map(|moved| moved.owner as usize)
    }

    /// Returns the next value to evict, if the cache is over its capacity. The caller removes it.
    pub(crate) fn next_victim(&mut self) -> Option<Slot> {
        while self.bytes > self.capacity {
            self.hand = (self.hand + 1) % self.cached.len();
            // The second chance: a value in use is passed once.
            if !mem::take(self.cached[self.hand].is_in_use.get_mut()) {
                return Slot::new(self.hand);
            }
        }
        None
    }
}

fn size(value: &str) -> u64 {
    value.len() as u64 + OVERHEAD
}

#[cfg(test)]
impl Cache {
    /// Returns the number of bytes that the cache has counted, and checks the count.
    pub(crate) fn bytes(&self) -> u64 {
        let sizes = self.cached.iter().map(|cached| size(&cached.value));
        assert_eq!(sizes.sum::<u64>(), self.bytes);
        self.bytes
    }
}
