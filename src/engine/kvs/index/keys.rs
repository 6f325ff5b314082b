//! The keys of an index, one behind the other, which takes less memory than an allocation for each.

/// The byte after each key. It is in no UTF-8 text.
const END: u8 = 0xff;

/// The keys, each of which has an offset.
#[derive(Debug, Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    /// The number of bytes of keys that were removed.
    dead: usize,
}

impl Keys {
    /// Returns the offset of the new key.
    pub(super) fn add(&mut self, key: &str) -> usize {
        let at = self.bytes.len();
        self.bytes.extend_from_slice(key.as_bytes());
        self.bytes.push(END);
        at
    }

    /// Makes room for `keys` more keys of `bytes` bytes in all.
    pub(super) fn reserve(&mut self, keys: usize, bytes: usize) {
        self.bytes.reserve(bytes + keys);
    }

    /// Returns the number of bytes that all keys take.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(super) fn is_at(&self, at: usize, key: &str) -> bool {
        let rest = self.bytes[at..].strip_prefix(key.as_bytes());
        rest.is_some_and(|rest| rest.first() == Some(&END))
    }

    /// Returns the first byte of a key, or the byte after it if the key is empty.
    pub(super) fn first_byte(&self, at: usize) -> u8 {
        self.bytes[at]
    }

    pub(super) fn get(&self, at: usize) -> &str {
        let end = self.bytes[at..].iter().position(|byte| *byte == END);
        let key = str::from_utf8(&self.bytes[at..][..end.expect("every key has an end")]);
        key.expect("a key is text")
    }

    pub(super) fn forget(&mut self, key: &str) {
        self.dead += key.len() + 1;
    }

    pub(super) fn are_mostly_dead(&self) -> bool {
        self.dead > self.bytes.len() / 2
    }
}
