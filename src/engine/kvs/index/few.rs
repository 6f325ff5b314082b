//! A few keys that an index looks up together, which takes less time than one after the other.

use std::ops::Range;

/// The number of keys that are worth it.
pub(crate) const FEW: usize = 32;

/// A few keys, each with a `T`.
#[derive(Debug)]
pub(crate) struct Few<T> {
    /// All keys, one behind the other.
    keys: String,
    items: Vec<(Range<usize>, T)>,
}

impl<T> Default for Few<T> {
    fn default() -> Few<T> {
        Few {
            keys: String::with_capacity(FEW * 16),
            items: Vec::with_capacity(FEW),
        }
    }
}

impl<T> Few<T> {
    pub(crate) fn push(&mut self, key: &str, item: T) {
        if self.items.is_empty() {
            self.keys.clear();
        }
        let start = self.keys.len();
        self.keys.push_str(key);
        self.items.push((start..self.keys.len(), item));
    }

    pub(crate) fn is_full(&self) -> bool {
        self.items.len() >= FEW
    }

    pub(crate) fn keys(&self) -> impl Iterator<Item = &str> {
        self.items.iter().map(|(key, _)| &self.keys[key.clone()])
    }

    /// Takes out all keys, in the order in which they came.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (&str, T)> {
        let items = self.items.drain(..);
        items.map(|(key, item)| (&self.keys[key], item))
    }
}
