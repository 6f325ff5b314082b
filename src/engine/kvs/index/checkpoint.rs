//! A checkpoint: the index as it was when the store was closed, so that opening it need not put it
//! together from the log. `docs/format.md` has its bytes.
//!
//! It names the segments that it covers, with their lengths and digests. If the log begins with
//! exactly these, the checkpoint is valid, and opening the store reads only the later segments. It
//! is never synced. If it is missing, torn, or of another log, the store reads the whole log.

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};

use bytes::{Buf, BufMut};
use crc32fast::Hasher;

use crate::engine::files::Directory;
use crate::engine::kvs::format::names::{self, Generation};
use crate::engine::kvs::format::record::Location;
use crate::engine::kvs::format::record::{Digest, MAX_SEQUENCE, Salt};
use crate::engine::kvs::format::scanner::FileReader;
use crate::engine::kvs::format::segment::Opened;
use crate::engine::kvs::index::{Index, Seed};
use crate::error::{KvsError, Result};

const MAGIC: &[u8; 8] = b"kvs-chk\n";
const VERSION: u32 = 2;
const START: usize = 72;
/// Bytes of a segment in the first block.
const SEGMENT: usize = 16;
/// Bytes of a key's place and length in the other blocks.
const PLACE: usize = 20;
/// Bytes after which a block ends.
const BLOCK: usize = 64 * 1024;

/// The part of a log that a checkpoint is of.
#[derive(Debug)]
pub(crate) struct Covered {
    pub(crate) salt: Salt,
    /// The number of the last write.
    pub(crate) sequence: u64,
    /// The segments, with their lengths and the digests of their records.
    pub(crate) segments: BTreeMap<Generation, (u64, Digest)>,
}

impl Covered {
    pub(crate) fn bytes(&self) -> u64 {
        self.segments.values().map(|(len, _)| len).sum()
    }

    /// Writes a checkpoint of this part, which has come to `index`.
    pub(crate) fn write(&self, dir: &dyn Directory, index: &Index) -> Result<()> {
        let unfinished = names::unfinished(names::CHECKPOINT);
        let written = self.write_to(dir, &unfinished, index);
        match written {
            Ok(()) => names::publish(dir, names::CHECKPOINT),
            Err(error) => {
                names::remove(dir, &unfinished)?;
                Err(KvsError::io(format_args!("write {unfinished:?}"))(error))
            }
        }
    }

    fn write_to(&self, dir: &dyn Directory, name: &str, index: &Index) -> io::Result<()> {
        let file = dir.create(name)?;
        // A key whose newest record is in a later segment is found there.
        let is_covered =
            |(_, location): &(&str, Location)| self.segments.contains_key(&location.generation);
        let keys = index.iter().filter(is_covered).count() as u64;
        let header = self.header(keys, index.seed());
        file.write_all_at(&header, 0)?;
        let mut end = header.len() as u64;
        let mut write = |block: &mut Vec<u8>| {
            let mut bytes = Vec::with_capacity(8 + block.len());
            bytes.put_u32_le(block.len() as u32);
            bytes.put_u32_le(checksum(&header, block));
            bytes.append(block);
            file.write_all_at(&bytes, end)?;
            end += bytes.len() as u64;
            io::Result::Ok(())
        };
        let mut block = Vec::new();
        for (generation, (len, digest)) in &self.segments {
            block.put_u32_le(*generation);
            block.put_u64_le(*len);
            block.put_u32_le(digest.0);
        }
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

    fn header(&self, keys: u64, seed: Seed) -> Vec<u8> {
        let mut header = MAGIC.to_vec();
        header.put_u32_le(VERSION);
        header.put_u32_le(self.salt.0);
        header.put_u64_le(self.sequence);
        header.put_u64_le(keys);
        for part in seed {
            header.put_u64_le(part);
        }
        header.put_u32_le(self.segments.len() as u32);
        header.put_u32_le(crc32fast::hash(&header));
        header
    }

    /// Reads the checkpoint in `dir`. Returns `None` if it is not valid for `segments`.
    pub(crate) fn read(dir: &dyn Directory, segments: &[Opened]) -> Option<(Covered, Index)> {
        let mut blocks = Blocks::open(dir)?;
        let header = blocks.header;
        let mut fields = Cursor::new(&header[12..]);
        let (salt, sequence) = (Salt(fields.get_u32_le()), fields.get_u64_le());
        let keys = fields.get_u64_le();
        let seed = [(); 4].map(|()| fields.get_u64_le());
        let (of_segments, []) = blocks.next()?.as_chunks::<SEGMENT>() else {
            return None;
        };
        let of_segments = of_segments.iter().map(|bytes| {
            let mut fields = Cursor::new(bytes);
            let (generation, len) = (fields.get_u32_le(), fields.get_u64_le());
            (generation, (len, Digest(fields.get_u32_le())))
        });
        let covered = Covered {
            salt,
            sequence,
            segments: of_segments.collect(),
        };
        if header[..] != covered.header(keys, seed)
            || sequence > MAX_SEQUENCE
            || keys > blocks.left / PLACE as u64
            || !covered.holds_for(segments)
        {
            return None;
        }
        let mut index = Index::new(seed);
        index.reserve(keys as usize, blocks.left as usize - keys as usize * PLACE);
        while blocks.left > 0 {
            let (count, rest) = blocks.next()?.split_first_chunk()?;
            let places = usize::try_from(u32::from_le_bytes(*count)).ok()?;
            let (places, keys) = rest.split_at_checked(places.checked_mul(PLACE)?)?;
            // All at once, which is faster than key by key.
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
                let (len, _) = covered.segments.get(&location.generation)?;
                if end > *len {
                    return None;
                }
                index.put(key, location, None);
                keys = behind;
            }
        }
        (index.len() as u64 == keys).then_some((covered, index))
    }

    /// Returns whether the log of these segments begins with the covered ones.
    fn holds_for(&self, segments: &[Opened]) -> bool {
        let covered = segments.get(..self.segments.len());
        !self.segments.is_empty()
            && covered.is_some_and(|covered| {
                covered.iter().zip(&self.segments).all(|(opened, of)| {
                    let (generation, (len, digest)) = of;
                    opened.segment.salt == self.salt
                        && opened.segment.generation == *generation
                        && opened.len == *len
                        && opened.proof == Some(*digest)
                })
            })
    }
}

/// The blocks of a checkpoint.
struct Blocks {
    reader: FileReader,
    header: [u8; START],
    /// Bytes from the next block on.
    left: u64,
    block: Vec<u8>,
}

impl Blocks {
    fn open(dir: &dyn Directory) -> Option<Blocks> {
        let file = dir.open(names::CHECKPOINT).ok()?;
        let left = file.size().ok()?.checked_sub(START as u64)?;
        let mut reader = FileReader::new(file, 0);
        let mut header = [0; START];
        reader.read_exact(&mut header).ok()?;
        Some(Blocks {
            reader,
            header,
            left,
            block: Vec::new(),
        })
    }

    /// The next block, if it is sound.
    fn next(&mut self) -> Option<&[u8]> {
        let mut prefix = [0; 8];
        self.reader.read_exact(&mut prefix).ok()?;
        let mut fields = Cursor::new(prefix);
        let (len, sum) = (fields.get_u32_le(), fields.get_u32_le());
        self.left = self.left.checked_sub(8 + u64::from(len))?;
        self.block.resize(len as usize, 0);
        self.reader.read_exact(&mut self.block).ok()?;
        (checksum(&self.header, &self.block) == sum).then_some(&self.block)
    }
}

/// The checksum of a block. It is that of the header as well, so that blocks of another checkpoint
/// count only where that was of the same writes.
fn checksum(header: &[u8], block: &[u8]) -> u32 {
    let mut hasher = Hasher::new();
    hasher.update(header);
    hasher.update(block);
    hasher.finalize()
}
