//! The common beginning of all files: which kind of file it is, in which version.

use bytes::BufMut;

/// Bytes before the fields: eight that name the kind of file, and its version.
pub(crate) const FIELDS: usize = 12;

/// Returns a header: `magic`, `version`, the bytes that `put_fields` adds, and a checksum of all
/// before it.
///
/// A reader decodes the fields, encodes them again and compares. So a header that reads back as the
/// same fields is the header that was written.
pub(crate) fn encode(
    magic: &[u8; 8],
    version: u32,
    put_fields: impl FnOnce(&mut Vec<u8>),
) -> Vec<u8> {
    let mut header = magic.to_vec();
    header.put_u32_le(version);
    put_fields(&mut header);
    header.put_u32_le(crc32fast::hash(&header));
    header
}

/// Returns whether the last four bytes are the checksum of those before them.
pub(crate) fn ends_with_checksum(bytes: &[u8]) -> bool {
    // The comparison with a checksum makes the last chunk four bytes long.
    bytes
        .split_last_chunk()
        .is_some_and(|(bytes, checksum)| crc32fast::hash(bytes).to_le_bytes() == *checksum)
}
