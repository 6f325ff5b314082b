//! Keys that an index looks up a few at a time, which takes less time than one after the other.

use std::ops::Range;

/// The number of keys that are worth it.
pub(crate) const FEW: usize = 32;

/// The average length of keys, in bytes, up to which a [`KeyList`] takes as many as it may. Longer
/// ones fill it sooner.
const KEY_BYTES: usize = 128;

/// Keys, each with a `T`.
#[derive(Debug)]
pub(crate) struct KeyList<T> {
    /// All keys, one behind the other.
    keys: String,
    items: Vec<(Range<usize>, T)>,
    max: usize,
}

impl<T: Copy> KeyList<T> {
    /// Returns a list that is full with `max` keys, or with fewer long ones.
    pub(crate) fn new(max: usize) -> KeyList<T> {
        // With room for all keys from the start, a store opens 5 % slower.
        KeyList {
            keys: String::new(),
            items: Vec::new(),
            max,
        }
    }

    pub(crate) fn push(&mut self, key: &str, item: T) {
        let start = self.keys.len();
        self.keys.push_str(key);
        self.items.push((start..self.keys.len(), item));
    }

    pub(crate) fn is_full(&self) -> bool {
        self.items.len() >= self.max || self.keys.len() >= self.max * KEY_BYTES
    }

    /// Returns all keys in the order in which they came, [`FEW`] at a time.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = impl Iterator<Item = (&str, T)> + Clone> {
        let item = |(key, item): &(Range<usize>, T)| (&self.keys[key.clone()], *item);
        self.items.chunks(FEW).map(move |few| few.iter().map(item))
    }

    pub(crate) fn clear(&mut self) {
        self.keys.clear();
        self.items.clear();
    }
}
