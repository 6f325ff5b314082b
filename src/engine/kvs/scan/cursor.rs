//! The cursor of a scan, and its text.

use crate::engine::kvs::format::names::Generation;
use crate::engine::kvs::format::record::Salt;
use crate::engine::kvs::format::scanner::Scanned;

/// The last record that a scan has passed, and where it is or was.
///
/// The sequence number is the position, which survives compaction. The place saves a search for it.
/// If the search takes more than one page, the place is that of an earlier record, at which the
/// next page continues to search.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Cursor {
    /// The number of the record, or 0 before the first one.
    pub(super) sequence: u64,
    /// The checksum of its key and value. A cursor of another store, or of a write that a power cut
    /// has taken, has the number of another record.
    pub(super) checksum: u32,
    pub(super) generation: Generation,
    pub(super) offset: u64,
}

impl Cursor {
    pub(super) fn of(scanned: &Scanned<'_>) -> Cursor {
        Cursor {
            sequence: scanned.record.sequence,
            checksum: scanned.checksum,
            generation: scanned.location.generation,
            offset: scanned.location.offset,
        }
    }

    /// Has a search for the record begin after an earlier one.
    pub(super) fn search_from(&mut self, earlier: &Cursor) {
        (self.generation, self.offset) = (earlier.generation, earlier.offset);
    }

    pub(super) fn encode(&self, salt: Salt) -> String {
        let Cursor {
            sequence,
            checksum,
            generation,
            offset,
        } = self;
        let mark = mark(salt);
        format!("{mark:02x}-{sequence:x}-{checksum:x}-{generation:x}-{offset:x}")
    }

    /// Returns the cursor with this text, or `None` if the store with this salt would not write it.
    /// The text is a client's, so any of the numbers may be wrong.
    pub(super) fn decode(text: &str, salt: Salt) -> Option<Cursor> {
        let mut fields = text.split('-').skip(1);
        let mut next = || u64::from_str_radix(fields.next()?, 16).ok();
        let cursor = Cursor {
            sequence: next()?,
            checksum: next()?.try_into().ok()?,
            generation: next()?.try_into().ok()?,
            offset: next()?,
        };
        // This compares the mark, and refuses every other way to write the same numbers.
        (cursor.encode(salt) == text).then_some(cursor)
    }

    /// Returns whether a record with this number and this checksum of key and value is not in the
    /// log that the cursor is of.
    pub(super) fn contradicts(&self, sequence: u64, checksum: u32) -> bool {
        self.sequence == sequence && self.checksum != checksum
    }
}

/// Returns a mark of the store, in which most other stores differ.
///
/// A client must not learn the salt, which protects the log from records inside of values. The salt
/// has 32 bits, so any longer mark would give it away to a client that tries all salts. This one
/// tells 8 bits of it, always the same ones, and the others stay secret.
fn mark(salt: Salt) -> u8 {
    salt.checksum(b"cursor") as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    const CURSOR: Cursor = Cursor {
        sequence: u64::MAX,
        checksum: u32::MAX,
        generation: 0,
        offset: 0x1234,
    };

    #[test]
    fn a_cursor_comes_back_as_it_was() {
        let text = CURSOR.encode(Salt(1));
        assert_eq!(Cursor::decode(&text, Salt(1)), Some(CURSOR));
    }

    #[test]
    fn a_cursor_that_was_written_in_another_way_is_refused() {
        let text = CURSOR.encode(Salt(1));
        let other = CURSOR.encode(Salt(2));
        let long = text.replace("ffffffff-0", "fffffffff-0");
        for text in [
            other,
            long,
            format!("{text}-"),
            format!("{text} "),
            text.to_uppercase(),
            text.replace("-0-", "-00-"),
            text.replace("-0-", "-+0-"),
            text.replace("-0-", "--"),
            text.replace("-1234", ""),
            String::new(),
        ] {
            assert_eq!(Cursor::decode(&text, Salt(1)), None, "{text}");
        }
    }
}
