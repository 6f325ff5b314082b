//! Replies that are encoded before the replies to earlier requests are sent: values in memory, read
//! behind pending writes.

use crate::protocol;

/// The capacity in bytes that is kept although there are fewer bytes of replies.
const MAX_SPARE: usize = 2 * 1024;

/// The capacity in bytes up to which only the replies count.
const SMALL: usize = 16 * 1024;

/// The replies as frames, oldest first. They share a buffer, so that none of them needs an
/// allocation.
#[derive(Debug, Default)]
pub(super) struct Early {
    bytes: Vec<u8>,
    /// The number of bytes of replies that have been taken.
    taken: usize,
}

impl Early {
    /// Adds the reply to a get, if that needs no JSON serializer. Returns its length in bytes.
    pub(super) fn push_plain_value(&mut self, value: &str) -> Option<usize> {
        let start = self.bytes.len();
        if protocol::write_value_frame(value, &mut self.bytes) {
            return Some(self.bytes.len() - start);
        }
        self.shrink();
        None
    }

    /// Calls `copy` with the oldest reply, which has `len` bytes, and removes it.
    pub(super) fn take_oldest(&mut self, len: usize, copy: impl FnOnce(&[u8])) {
        let end = self.taken + len;
        copy(&self.bytes[self.taken..end]);
        self.taken = end;
        // The bytes before the rest are moved over seldom enough to cost little for each reply.
        if self.taken >= self.bytes.len() / 2 {
            self.bytes.drain(..self.taken);
            self.taken = 0;
            self.shrink();
        }
    }

    /// Returns the number of bytes of all replies, including those that have been taken.
    pub(super) fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Removes the replies after the first `len` bytes.
    pub(super) fn truncate(&mut self, len: usize) {
        self.bytes.truncate(len);
        self.shrink();
    }

    /// Frees most of the memory that the replies do not need.
    fn shrink(&mut self) {
        let needed = (2 * self.bytes.len()).max(MAX_SPARE);
        if self.bytes.capacity() > 2 * needed {
            self.bytes.shrink_to(needed);
        }
    }

    /// Returns the memory that is used besides the replies.
    pub(super) fn overhead(&self) -> usize {
        match self.bytes.capacity() {
            // No request is refused for so little.
            0..=SMALL => 0,
            capacity => capacity - (self.bytes.len() - self.taken),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Returns the frame of a reply to a get.
    fn frame(value: &str) -> Vec<u8> {
        let mut frame = Vec::new();
        assert!(protocol::write_value_frame(value, &mut frame));
        frame
    }

    #[test]
    fn replies_come_back_in_their_order_and_take_no_more_memory_over_time() {
        let (mut early, mut expected) = (Early::default(), VecDeque::new());
        for n in 0..1000 {
            // There are more and more replies for a while, then fewer, and never none.
            let value = "x".repeat(n % 50);
            let len = early.push_plain_value(&value).unwrap();
            if n % 7 == 6 {
                early.truncate(early.len() - len);
            } else {
                expected.push_back(frame(&value));
            }
            let takes = if n % 100 < 50 { n % 2 } else { 2 };
            for _ in 0..takes.min(expected.len() - 1) {
                let oldest = expected.pop_front().unwrap();
                early.take_oldest(oldest.len(), |found| assert_eq!(found, oldest));
            }
            let alive: usize = expected.iter().map(Vec::len).sum();
            assert!(early.bytes.len() <= 2 * alive + frame("").len());
        }
        while let Some(oldest) = expected.pop_front() {
            early.take_oldest(oldest.len(), |found| assert_eq!(found, oldest));
        }
        assert!(early.bytes.capacity() <= 2 * MAX_SPARE);
    }

    #[test]
    fn a_value_with_escaped_characters_leaves_no_bytes_and_takes_no_memory() {
        let mut early = Early::default();
        let quoted = "\"".repeat(100_000);
        assert_eq!(early.push_plain_value(&quoted), None);
        assert!(early.bytes.is_empty());
        assert_eq!(early.overhead(), 0);
    }
}
