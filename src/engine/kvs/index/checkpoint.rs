//! A checkpoint: the index as it was when the store was closed. Opening the store reads it instead
//! of the segments that it covers.
//!
//! It names these segments, with their lengths and digests. If the log begins with exactly these,
//! the checkpoint is valid, and opening the store reads only the later segments. It is never
//! synced. If it is missing, torn, or of another log, the store reads the whole log.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use bytes::{Buf, BufMut};
use crc32fast::Hasher;

use super::{Index, Seed};
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::file::{FileReader, LogFile};
use crate::engine::kvs::format::header;
use crate::engine::kvs::format::names::{self, Generation};
use crate::engine::kvs::format::record::{Digest, Location, MAX_SEQUENCE, Salt};
use crate::engine::kvs::format::segment::Opened;
use crate::error::Result;

const MAGIC: &[u8; 8] = b"kvs-chk\n";
const VERSION: u32 = 2;
const START: usize = 72;
/// Bytes of a segment in the first block: its generation, length and digest.
const SEGMENT: usize = 16;
/// Bytes of a key's location and length in the other blocks.
const PLACE: usize = 20;
/// A block ends with the entry that reaches this many bytes.
const BLOCK: usize = 64 * 1024;

/// The part of a log that a checkpoint covers.
#[derive(Debug)]
pub(crate) struct Checkpoint {
    pub(crate) salt: Salt,
    /// The number of the last write.
    pub(crate) sequence: u64,
    pub(crate) segments: BTreeMap<Generation, Covered>,
}

/// A segment that a checkpoint covers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Covered {
    pub(crate) len: u64,
    /// The digest of all its records.
    pub(crate) digest: Digest,
}

impl Checkpoint {
    /// Returns the number of bytes of the log that it covers.
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.values().map(|covered| covered.len).sum()
    }

    /// Writes the checkpoint. `index` is that of a log which begins with the covered segments.
    pub(crate) fn write(&self, dir: LogDir<'_>, index: &Index) -> Result<()> {
        let file = dir.create(names::CHECKPOINT)?;
        // Opening the store would remove an unfinished file. Until then, it would take room.
        if let Err(error) = self.write_to(&file, index) {
            dir.discard(names::CHECKPOINT)?;
            return Err(error);
        }
        dir.publish(names::CHECKPOINT)
    }

    fn write_to(&self, file: &LogFile, index: &Index) -> Result<()> {
        // The records of the other keys are in later segments, which opening the store reads.
        let is_covered =
            |(_, location): &(&str, Location)| self.segments.contains_key(&location.generation);
        // The keys are counted first: the header has their number, and all checksums cover it.
        let keys = index.iter().filter(is_covered).count() as u64;
        let header = self.header(keys, index.seed());
        file.write(&header, 0)?;
        let mut end = header.len() as u64;
        let mut write = |block: &mut Vec<u8>| {
            let mut bytes = Vec::with_capacity(8 + block.len());
            // A block has 64 KiB and at most one more key, or 16 bytes for each segment.
            bytes.put_u32_le(block.len() as u32);
            bytes.put_u32_le(checksum(&header, block));
            bytes.append(block);
            file.write(&bytes, end)?;
            end += bytes.len() as u64;
            Result::Ok(())
        };
        let mut block = self.segment_block();
        write(&mut block)?;
        let (mut places, mut keys) = (Vec::new(), Vec::new());
        let mut entries = index.iter().filter(is_covered).peekable();
        while let Some((key, location)) = entries.next() {
            places.put_u64_le(location.offset);
            places.put_u32_le(location.generation);
            places.put_u32_le(location.len);
            places.put_u32_le(key.len() as u32);
            keys.extend_from_slice(key.as_bytes());
            if places.len() + keys.len() >= BLOCK || entries.peek().is_none() {
                block.put_u32_le((places.len() / PLACE) as u32);
                block.append(&mut places);
                block.append(&mut keys);
                write(&mut block)?;
            }
        }
        Ok(())
    }

    /// Returns the first block, which lists the segments.
    fn segment_block(&self) -> Vec<u8> {
        let mut block = Vec::new();
        for (generation, Covered { len, digest }) in &self.segments {
            block.put_u32_le(*generation);
            block.put_u64_le(*len);
            block.put_u32_le(digest.0);
        }
        block
    }

    fn header(&self, keys: u64, seed: Seed) -> Vec<u8> {
        header::encode(MAGIC, VERSION, |header| {
            header.put_u32_le(self.salt.0);
            header.put_u64_le(self.sequence);
            header.put_u64_le(keys);
            for part in seed {
                header.put_u64_le(part);
            }
            header.put_u32_le(self.segments.len() as u32);
        })
    }

    /// Reads the checkpoint in `dir`, and the index in it. Returns `None` if there is none, or if
    /// it is not valid for a log of `segments`.
    pub(crate) fn read(dir: LogDir<'_>, segments: &[Opened]) -> Option<(Checkpoint, Index)> {
        let mut blocks = Blocks::open(dir)?;
        let header = blocks.header;
        let mut fields = Cursor::new(&header[header::FIELDS..]);
        let (salt, sequence) = (Salt(fields.get_u32_le()), fields.get_u64_le());
        let keys = fields.get_u64_le();
        let seed = [(); 4].map(|()| fields.get_u64_le());
        let checkpoint = Checkpoint {
            salt,
            sequence,
            segments: read_segments(blocks.next()?)?,
        };
        if header[..] != checkpoint.header(keys, seed)
            || sequence > MAX_SEQUENCE
            // A forged number must not make the index reserve more memory than the file is long.
            || keys > blocks.left / PLACE as u64
            || !checkpoint.holds_for(segments)
        {
            return None;
        }
        let mut index = Index::new(seed);
        index.reserve(keys as usize, blocks.left as usize - keys as usize * PLACE);
        while blocks.left > 0 {
            checkpoint.read_keys(blocks.next()?, &mut index)?;
        }
        // There are fewer if two blocks have the same key, or if the file ends early.
        (index.len() as u64 == keys).then_some((checkpoint, index))
    }

    /// Adds the keys of a block to `index`. Returns `None` if the block makes no sense.
    fn read_keys(&self, block: &[u8], index: &mut Index) -> Option<()> {
        let (count, rest) = block.split_first_chunk()?;
        let places = usize::try_from(u32::from_le_bytes(*count)).ok()?;
        let (places, keys) = rest.split_at_checked(places.checked_mul(PLACE)?)?;
        // Checking all keys at once is faster than checking each.
        let mut keys = str::from_utf8(keys).ok()?;
        for place in places.as_chunks::<PLACE>().0 {
            let mut fields = Cursor::new(place);
            let location = Location {
                offset: fields.get_u64_le(),
                generation: fields.get_u32_le(),
                len: fields.get_u32_le(),
            };
            let (key, behind) = keys.split_at_checked(fields.get_u32_le() as usize)?;
            let end = location.offset.checked_add(u64::from(location.len))?;
            if end > self.segments.get(&location.generation)?.len {
                return None;
            }
            index.put(key, location, None);
            keys = behind;
        }
        Some(())
    }

    /// Returns whether the log of these segments begins with the covered ones.
    fn holds_for(&self, segments: &[Opened]) -> bool {
        let Some(oldest) = segments.get(..self.segments.len()) else {
            return false;
        };
        let mut pairs = oldest.iter().zip(&self.segments);
        !oldest.is_empty()
            && pairs.all(|(opened, (generation, covered))| {
                opened.segment.salt == self.salt
                    && opened.segment.generation == *generation
                    && opened.len == covered.len
                    && opened.proof == Some(covered.digest)
            })
    }
}

/// Reads the first block, which lists the segments.
fn read_segments(block: &[u8]) -> Option<BTreeMap<Generation, Covered>> {
    let (segments, []) = block.as_chunks::<SEGMENT>() else {
        return None;
    };
    let segments = segments.iter().map(|bytes| {
        let mut fields = Cursor::new(bytes);
        let generation = fields.get_u32_le();
        let covered = Covered {
            len: fields.get_u64_le(),
            digest: Digest(fields.get_u32_le()),
        };
        (generation, covered)
    });
    Some(segments.collect())
}

/// The blocks of a checkpoint.
struct Blocks {
    reader: FileReader,
    header: [u8; START],
    /// Bytes that are still to be read.
    left: u64,
    block: Vec<u8>,
}

impl Blocks {
    fn open(dir: LogDir<'_>) -> Option<Blocks> {
        let file = dir.open(names::CHECKPOINT).ok()?;
        let left = file.len().ok()?.checked_sub(START as u64)?;
        let mut reader = file.unbuffered(0);
        let mut header = [0; START];
        reader.read_exact(&mut header).ok()?;
        Some(Blocks {
            reader,
            header,
            left,
            block: Vec::new(),
        })
    }

    /// Returns the next block, if it is sound.
    fn next(&mut self) -> Option<&[u8]> {
        let mut prefix = [0; 8];
        self.reader.read_exact(&mut prefix).ok()?;
        let mut fields = Cursor::new(prefix);
        let (len, sum) = (fields.get_u32_le(), fields.get_u32_le());
        // This comes before the buffer grows, because the length may be wrong.
        self.left = self.left.checked_sub(8 + u64::from(len))?;
        self.block.resize(len as usize, 0);
        self.reader.read_exact(&mut self.block).ok()?;
        (checksum(&self.header, &self.block) == sum).then_some(&self.block)
    }
}

/// Returns the checksum of a block. It covers the header as well, so that a block of another
/// checkpoint is sound only if that checkpoint has the same header.
fn checksum(header: &[u8], block: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(header);
    hasher.update(block);
    hasher.finalize()
}
