//! One record of the log: a key with its value, or the tombstone of a key.

use std::hash::{BuildHasher, Hasher as _, RandomState};
use std::io::Cursor;
use std::iter;

use bytes::{Buf, BufMut};
use crc32fast::Hasher;

use super::names::Generation;
use crate::error::{KvsError, Result};

/// Bytes before the key.
pub(crate) const HEADER_LEN: usize = 24;

/// The longest key, in bytes.
pub(crate) const MAX_KEY_LEN: usize = 64 * 1024;

/// The longest value, in bytes.
pub(crate) const MAX_VALUE_LEN: usize = 64 * 1024 * 1024;

/// The highest sequence number. No store reaches it, so adding to a number does not overflow.
pub(crate) const MAX_SEQUENCE: u64 = u64::MAX / 2;

const TOMBSTONE: u32 = u32::MAX;

/// A secret number of a store. It is part of the checksum of every record header. Otherwise a
/// client could store a value that contains a record, and a search for sound records in a damaged
/// segment would find that one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Salt(pub(crate) u32);

impl Salt {
    /// Returns a salt for a new store.
    pub(crate) fn random() -> Salt {
        // The standard library seeds its hash maps from the system's source of random numbers.
        Salt(RandomState::new().build_hasher().finish() as u32)
    }

    /// Returns the checksum of the salt and `bytes`.
    pub(crate) fn checksum(self, bytes: &[u8]) -> u32 {
        let mut hasher = Hasher::new();
        hasher.update(&self.0.to_le_bytes());
        hasher.update(bytes);
        hasher.finalize()
    }
}

/// The place of a record. It is enough to read the record with one system call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Location {
    pub(crate) offset: u64,
    pub(crate) generation: Generation,
    pub(crate) len: u32,
}

impl Location {
    /// Returns the offset of the end of the record.
    pub(crate) fn end(self) -> u64 {
        self.offset + u64::from(self.len)
    }
}

/// One write: a value under a key, or a tombstone, which removes a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Record<'a> {
    /// The number of the write. It is higher than that of every earlier write.
    pub(crate) sequence: u64,
    pub(crate) key: &'a str,
    /// `None` in a tombstone.
    pub(crate) value: Option<&'a str>,
}

impl<'a> Record<'a> {
    /// Returns the record at the beginning of `bytes`, or the reason why there is none.
    pub(crate) fn decode(
        bytes: &'a [u8],
        salt: Salt,
    ) -> std::result::Result<Record<'a>, &'static str> {
        let header = bytes.first_chunk().ok_or(CUT_OFF)?;
        let header = Header::decode(header, salt)?;
        let body = bytes.get(HEADER_LEN..header.record_len()).ok_or(CUT_OFF)?;
        header.record(body)
    }

    /// Appends the bytes of the record to `out`. Its lengths have passed [`check_lengths`].
    pub(crate) fn encode(&self, salt: Salt, out: &mut Vec<u8>) {
        let start = draft(self.key, self.value, out);
        seal(&mut out[start..], self.sequence, salt);
    }
}

/// A checksum of a sequence of records, with which a derived file proves that it belongs to them.
///
/// It is the checksum of the checksums at the beginnings of the records. Those are salted, and each
/// covers its whole record. So the same digest means the same records of the same store in the same
/// order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Digest(pub(crate) u32);

impl Digest {
    /// Adds the next record, whose bytes are `record`.
    pub(crate) fn add(&mut self, record: &[u8]) {
        // This continues the checksum of the records so far, as if all bytes came in one piece.
        let mut hasher = Hasher::new_with_initial(self.0);
        hasher.update(&record[..4]);
        self.0 = hasher.finalize();
    }
}

/// The reason of the damage if the segment ends within a record.
pub(crate) const CUT_OFF: &str = "the record is cut off";

/// The beginning of a record, which has its lengths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// The checksum of key and value.
    pub(crate) body: u32,
    pub(crate) key_len: usize,
    /// `None` in a tombstone.
    pub(crate) value_len: Option<usize>,
    pub(crate) sequence: u64,
}

impl Header {
    /// Returns the header in `bytes`, or the reason why this store has not written it.
    pub(crate) fn decode(
        bytes: &[u8; HEADER_LEN],
        salt: Salt,
    ) -> std::result::Result<Header, &'static str> {
        if bytes[..4] != salt.checksum(&bytes[4..]).to_le_bytes() {
            return Err("the checksum of the record's header does not match");
        }
        Header::decode_fields(bytes)
    }

    /// Returns the header in `bytes`, whose checksum the caller checks, or the reason why it is
    /// impossible.
    pub(crate) fn decode_fields(
        bytes: &[u8; HEADER_LEN],
    ) -> std::result::Result<Header, &'static str> {
        let mut fields = Cursor::new(&bytes[4..]);
        let header = Header {
            body: fields.get_u32_le(),
            key_len: fields.get_u32_le() as usize,
            value_len: Some(fields.get_u32_le())
                .filter(|len| *len != TOMBSTONE)
                .map(|len| len as usize),
            sequence: fields.get_u64_le(),
        };
        // A reader allocates this many bytes. `None`, a tombstone, is less than every `Some`.
        if header.key_len > MAX_KEY_LEN || header.value_len > Some(MAX_VALUE_LEN) {
            return Err("the lengths in the record are impossible");
        }
        if !(1..=MAX_SEQUENCE).contains(&header.sequence) {
            return Err("the number of the record is impossible");
        }
        Ok(header)
    }

    /// Returns the record with this header and this body, or the reason why they do not belong
    /// together.
    pub(crate) fn record<'a>(
        &self,
        body: &'a [u8],
    ) -> std::result::Result<Record<'a>, &'static str> {
        if crc32fast::hash(body) != self.body {
            return Err("the checksum of the record does not match");
        }
        // The caller has cut the body by the lengths in this header, so the split is within it.
        let (key, value) = body.split_at(self.key_len);
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| "the record is not UTF-8");
        Ok(Record {
            sequence: self.sequence,
            key: text(key)?,
            value: self.value_len.map(|_| text(value)).transpose()?,
        })
    }

    /// Returns the length of the whole record, in bytes.
    pub(crate) fn record_len(&self) -> usize {
        len(self.key_len, self.value_len)
    }
}

/// Appends the record of a write to `out`, with zeros for its number and its checksums, which
/// [`seal`] fills in. Returns its offset. The lengths have passed [`check_lengths`].
pub(crate) fn draft(key: &str, value: Option<&str>, out: &mut Vec<u8>) -> usize {
    let start = out.len();
    // The lengths are short enough, so the casts lose nothing.
    let value_len = value.map(str::len);
    out.reserve(len(key.len(), value_len));
    out.extend_from_slice(&[0; 8]);
    out.put_u32_le(key.len() as u32);
    out.put_u32_le(value_len.map_or(TOMBSTONE, |len| len as u32));
    out.extend_from_slice(&[0; 8]);
    out.extend_from_slice(key.as_bytes());
    out.extend_from_slice(value.unwrap_or_default().as_bytes());
    start
}

/// Completes the record of a [`draft`], whose write has the number `sequence`.
pub(crate) fn seal(record: &mut [u8], sequence: u64, salt: Salt) {
    let body = crc32fast::hash(&record[HEADER_LEN..]);
    record[4..8].copy_from_slice(&body.to_le_bytes());
    record[16..HEADER_LEN].copy_from_slice(&sequence.to_le_bytes());
    let checksum = salt.checksum(&record[4..HEADER_LEN]);
    record[..4].copy_from_slice(&checksum.to_le_bytes());
}

/// Returns the records in `bytes`, which the store has just encoded, with their headers.
pub(crate) fn split(mut bytes: &[u8]) -> impl Iterator<Item = (Header, &[u8])> {
    iter::from_fn(move || {
        let header = Header::decode_fields(bytes.first_chunk()?).ok()?;
        let (record, rest) = bytes.split_at(header.record_len());
        bytes = rest;
        Some((header, record))
    })
}

/// Returns the length of a record, from the lengths of its key and of its value. All are in bytes.
pub(crate) fn len(key_len: usize, value_len: Option<usize>) -> usize {
    HEADER_LEN + key_len + value_len.unwrap_or(0)
}

/// Checks that a record can hold `key` and `value`.
///
/// # Errors
///
/// [`KvsError::TooLarge`] if one of them is too long.
pub(crate) fn check_lengths(key: &str, value: Option<&str>) -> Result<()> {
    let check = |what, len, max| {
        if len > max {
            return Err(KvsError::TooLarge { what, len, max });
        }
        Ok(())
    };
    check("key", key.len(), MAX_KEY_LEN)?;
    check("value", value.map_or(0, str::len), MAX_VALUE_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SALT: Salt = Salt(7);

    fn encoded(record: Record<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        record.encode(SALT, &mut bytes);
        bytes
    }

    const SET: Record<'_> = Record {
        sequence: 0x0807_0605_0403_0201,
        key: "key",
        value: Some("väl"),
    };

    #[test]
    fn the_bytes_are_as_documented() {
        let bytes = encoded(SET);
        let salted = [&[7, 0, 0, 0], &bytes[4..24]].concat();
        assert_eq!(&bytes[..4], crc32fast::hash(&salted).to_le_bytes());
        assert_eq!(&bytes[4..8], crc32fast::hash(&bytes[24..]).to_le_bytes());
        assert_eq!(
            &bytes[8..],
            b"\x03\0\0\0\x04\0\0\0\x01\x02\x03\x04\x05\x06\x07\x08keyv\xc3\xa4l"
        );
    }

    #[test]
    fn a_record_comes_back_as_it_was() {
        for value in [Some("väl"), Some(""), None] {
            for key in ["key", ""] {
                let record = Record { key, value, ..SET };
                let mut bytes = encoded(record);
                bytes.extend(b"what comes next");
                assert_eq!(Record::decode(&bytes, SALT), Ok(record));
            }
        }
    }

    #[test]
    fn a_record_with_any_bit_flipped_or_any_byte_missing_is_refused() {
        let bytes = encoded(SET);
        for len in 0..bytes.len() {
            assert!(Record::decode(&bytes[..len], SALT).is_err());
        }
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::decode(&bytes, SALT).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_record_of_another_store_is_refused() {
        assert!(Record::decode(&encoded(SET), Salt(8)).is_err());
    }

    #[test]
    fn lengths_over_the_limit_are_refused() {
        let (key, value) = ("k".repeat(MAX_KEY_LEN), "v".repeat(MAX_VALUE_LEN));
        check_lengths(&key, Some(&value)).unwrap();
        let long_key = check_lengths(&(key + "k"), None);
        assert!(matches!(
            long_key,
            Err(KvsError::TooLarge { what: "key", .. })
        ));
        let long_value = check_lengths("", Some(&(value + "v")));
        assert!(matches!(
            long_value,
            Err(KvsError::TooLarge { what: "value", .. })
        ));
    }
}
