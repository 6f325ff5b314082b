//! The values in memory. When they take too much, a hand goes round them and drops each that was not
//! in use since it last came by: the algorithm known as CLOCK, or second chance.

use std::mem;
use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};

/// The longest value that is kept. Copying a longer one takes as long as asking the system for it.
pub(crate) const MAX_KEPT: usize = 16 * 1024;

/// Roughly what a value takes besides its bytes.
const OVERHEAD: u64 = size_of::<Kept>() as u64 + 8;

/// The place of a value. It is never 0, so that an `Option` of it takes no more.
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
struct Kept {
    value: Box<str>,
    owner: usize,
    /// Whether somebody has asked for the value since the hand last came by.
    is_in_use: AtomicBool,
}

/// Values without a gap between them: when one goes, the last has its place. Each has an owner, who
/// is a number here.
#[derive(Debug, Default)]
pub(crate) struct Values {
    kept: Vec<Kept>,
    bytes: u64,
    pub(crate) max_bytes: u64,
    hand: usize,
}

impl Values {
    pub(crate) fn get(&self, slot: Slot) -> &str {
        let kept = &self.kept[slot.n()];
        // Not again and again: that would take it away from the other processors each time.
        if !kept.is_in_use.load(Ordering::Relaxed) {
            kept.is_in_use.store(true, Ordering::Relaxed);
        }
        &kept.value
    }

    pub(crate) fn owner(&self, slot: Slot) -> usize {
        self.kept[slot.n()].owner
    }

    pub(crate) fn set_owner(&mut self, slot: Slot, owner: usize) {
        self.kept[slot.n()].owner = owner;
    }

    /// Keeps a value, if there is a slot for one more.
    pub(crate) fn add(&mut self, value: Box<str>, owner: usize) -> Option<Slot> {
        let slot = Slot::new(self.kept.len())?;
        self.bytes += size(&value);
        self.kept.push(Kept {
            value,
            owner,
            is_in_use: AtomicBool::new(false),
        });
        Some(slot)
    }

    pub(crate) fn replace(&mut self, slot: Slot, value: Box<str>) {
        let kept = &mut self.kept[slot.n()];
        self.bytes += size(&value);
        self.bytes -= size(&mem::replace(&mut kept.value, value));
        *kept.is_in_use.get_mut() = false;
    }

    /// Drops a value, and says whose value is in its slot now.
    pub(crate) fn remove(&mut self, slot: Slot) -> Option<usize> {
        self.bytes -= size(&self.kept.swap_remove(slot.n()).value);
        self.kept.get(slot.n()).map(|moved| moved.owner)
    }

    /// The value that is to go, where they take too much.
    pub(crate) fn next_to_go(&mut self) -> Option<Slot> {
        while self.bytes > self.max_bytes {
            self.hand = (self.hand + 1) % self.kept.len();
            if !mem::take(self.kept[self.hand].is_in_use.get_mut()) {
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
impl Values {
    /// The bytes that are counted, after looking that they are those that are there.
    pub(crate) fn bytes(&self) -> u64 {
        let sizes = self.kept.iter().map(|kept| size(&kept.value));
        assert_eq!(sizes.sum::<u64>(), self.bytes);
        self.bytes
    }
}
