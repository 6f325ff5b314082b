//! Keys that an index looks up a few at a time, which takes less time than one after the other.

use std::ops::Range;

/// The number of keys that are worth it.
pub(crate) const FEW: usize = 32;

/// Keys, each with a `T`.
#[derive(Debug)]
pub(crate) struct Few<T> {
    /// All keys, one behind the other.
    keys: String,
    items: Vec<(Range<usize>, T)>,
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few {
            keys: String::new(),
            items: Vec::new(),
        }
    }
}

impl<T: Copy> Few<T> {
    pub(crate) fn push(&mut self, key: &str, item: T) {
        let start = self.keys.len();
        self.keys.push_str(key);
        self.items.push((start..self.keys.len(), item));
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
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
