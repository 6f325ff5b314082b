//! One record of the log: a key with its value, or the tombstone of a key.
//!
//! ```text
//! offset  bytes  little-endian
//!      0      4  checksum: CRC-32 (ISO-HDLC) of everything behind it
//!      4      4  length of the key
//!      8      4  length of the value, or 2^32 - 1 for a tombstone
//!     12      8  sequence number of the write
//!     20         key, value (UTF-8)
//! ```

use std::io::Cursor;
use std::ops::RangeInclusive;

use bytes::Buf;

use crate::error::{KvsError, Result};

/// Bytes before the key.
pub(super) const HEADER_LEN: usize = 20;

/// The longest key, in bytes.
pub(super) const MAX_KEY_LEN: usize = 64 * 1024;

/// The longest value, in bytes.
pub(super) const MAX_VALUE_LEN: usize = 64 * 1024 * 1024;

const TOMBSTONE: u32 = u32::MAX;

/// What was written under a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Record<'a> {
    /// The number of the write. Every write of a store has a higher one than those before.
    pub(super) sequence: u64,
    pub(super) key: &'a str,
    /// `None` says that the key was removed.
    pub(super) value: Option<&'a str>,
}

impl<'a> Record<'a> {
    /// The record at the head of `bytes`, or what is wrong with it.
    pub(super) fn decode(bytes: &'a [u8]) -> std::result::Result<Record<'a>, &'static str> {
        let Some(header) = bytes.first_chunk() else {
            return Err(CUT_OFF);
        };
        let header = Header::decode(header)?;
        let Some(bytes) = bytes.get(..header.record_len()) else {
            return Err(CUT_OFF);
        };
        if !is_sound(bytes) {
            return Err("the checksum of the record does not match");
        }
        let (key, value) = bytes[HEADER_LEN..].split_at(header.key_len);
        let text = |bytes| std::str::from_utf8(bytes).map_err(|_| "the record is not UTF-8");
        Ok(Record {
            sequence: header.sequence,
            key: text(key)?,
            value: header.value_len.map(|_| text(value)).transpose()?,
        })
    }

    /// Appends the record's bytes to `out`. Its lengths must have passed [`check_lengths`].
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        self.header()
            .encode(out, &[self.key, self.value.unwrap_or_default()]);
    }

    /// What its header says of it.
    pub(super) fn header(&self) -> Header {
        Header {
            key_len: self.key.len(),
            value_len: self.value.map(str::len),
            sequence: self.sequence,
        }
    }
}

const CUT_OFF: &str = "the record is cut off";

/// The part of a record that says how long it is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Header {
    pub(super) key_len: usize,
    /// `None` in a tombstone.
    pub(super) value_len: Option<usize>,
    pub(super) sequence: u64,
}

impl Header {
    /// Reads a header, and refuses lengths that were never written: whoever reads on by them would
    /// otherwise ask for gigabytes.
    pub(super) fn decode(bytes: &[u8; HEADER_LEN]) -> std::result::Result<Header, &'static str> {
        let mut fields = Cursor::new(&bytes[4..]);
        let header = Header {
            key_len: fields.get_u32_le() as usize,
            value_len: Some(fields.get_u32_le())
                .filter(|len| *len != TOMBSTONE)
                .map(|len| len as usize),
            sequence: fields.get_u64_le(),
        };
        if header.key_len > MAX_KEY_LEN || header.value_len > Some(MAX_VALUE_LEN) {
            return Err("the lengths in the record are impossible");
        }
        Ok(header)
    }

    /// Appends a header to `out`, and `parts` behind it, under the right checksum.
    pub(super) fn encode(&self, out: &mut Vec<u8>, parts: &[&str]) {
        let value_len = self.value_len.map_or(TOMBSTONE, |len| len as u32);
        let start = out.len();
        out.extend_from_slice(&[0; 4]);
        out.extend_from_slice(&(self.key_len as u32).to_le_bytes());
        out.extend_from_slice(&value_len.to_le_bytes());
        out.extend_from_slice(&self.sequence.to_le_bytes());
        for part in parts {
            out.extend_from_slice(part.as_bytes());
        }
        let checksum = crc32fast::hash(&out[start + 4..]);
        out[start..start + 4].copy_from_slice(&checksum.to_le_bytes());
    }

    /// The length of the whole record, header included.
    pub(super) fn record_len(&self) -> usize {
        HEADER_LEN + self.key_len + self.value_len.unwrap_or(0)
    }
}

/// Whether the checksum at the head of `bytes` is that of the rest.
pub(super) fn is_sound(bytes: &[u8]) -> bool {
    let (checksum, rest) = bytes.split_at(4);
    checksum == crc32fast::hash(rest).to_le_bytes()
}

/// Where in `bytes` the first sound record begins that is not at their head, and that has one of the
/// expected sequence numbers: few bytes that are no record seem to, so few have to be summed up.
pub(super) fn find(bytes: &[u8], expected: RangeInclusive<u64>) -> Option<usize> {
    (1..bytes.len()).find(|at| {
        let bytes = &bytes[*at..];
        let header = bytes.first_chunk().map(Header::decode);
        header.is_some_and(|header| {
            header.is_ok_and(|header| expected.contains(&header.sequence))
                && Record::decode(bytes).is_ok()
        })
    })
}

/// Refuses what no record can hold.
pub(super) fn check_lengths(key: &str, value: Option<&str>) -> Result<()> {
    let check = |what, len, max| match len > max {
        true => Err(KvsError::TooLarge { what, len, max }),
        false => Ok(()),
    };
    check("key", key.len(), MAX_KEY_LEN)?;
    check("value", value.map_or(0, str::len), MAX_VALUE_LEN)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(record: Record<'_>) -> Vec<u8> {
        let mut bytes = Vec::new();
        record.encode(&mut bytes);
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
        assert_eq!(&bytes[..4], crc32fast::hash(&bytes[4..]).to_le_bytes());
        assert_eq!(
            &bytes[4..],
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
                assert_eq!(Record::decode(&bytes), Ok(record));
            }
        }
    }

    #[test]
    fn a_record_with_any_bit_flipped_or_any_byte_missing_is_refused() {
        let bytes = encoded(SET);
        for len in 0..bytes.len() {
            assert!(Record::decode(&bytes[..len]).is_err());
        }
        for bit in 0..bytes.len() * 8 {
            let mut bytes = bytes.clone();
            bytes[bit / 8] ^= 1 << (bit % 8);
            assert!(Record::decode(&bytes).is_err(), "bit {bit}");
        }
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
