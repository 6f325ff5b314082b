//! Compaction: copying what is still alive out of old segments, a step at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use super::index::{Index, Location};
use super::log::Failure;
use super::record::Digest;
use super::segment::{self, Found, Scanner, Segment};
use crate::error::{KvsError, Result};
use crate::sync::RwLock;

/// How many records move while readers wait.
const AT_A_TIME: usize = 64;

/// A compaction under way: the live records of some sealed segments move to a new one.
///
/// The index follows at every step, and readers find the records in the new segment at once. On
/// disk nothing has changed until the new segment is published.
#[derive(Debug)]
pub(super) struct Compaction {
    /// What is still to be read, oldest first.
    inputs: VecDeque<Scanner>,
    output: Arc<Segment>,
    output_len: u64,
    /// The digest of the records of the output, those in `bytes` included.
    digest: Digest,
    /// Records on their way to the end of the output. After a write that failed they are still
    /// here, for the next try.
    bytes: Vec<u8>,
    moved: Vec<Move>,
    /// What is wrong with the inputs. There is no next try for that: whatever could not be read
    /// must not be left out.
    damage: Option<KvsError>,
    failure: Failure,
}

/// A key whose record moves.
#[derive(Debug)]
struct Move {
    key: Box<str>,
    from: Location,
    to: Location,
}

impl Compaction {
    /// Compacts `inputs`, segments with their lengths, oldest first, into the new segment `output`.
    pub(super) fn new(
        inputs: Vec<(Arc<Segment>, u64)>,
        output: Arc<Segment>,
        failure: Failure,
    ) -> Compaction {
        let scanners = inputs.into_iter();
        Compaction {
            inputs: scanners
                .map(|(segment, len)| Scanner::new(segment, len))
                .collect(),
            output,
            output_len: segment::HEADER_LEN,
            digest: Digest::default(),
            bytes: Vec::new(),
            moved: Vec::new(),
            damage: None,
            failure,
        }
    }

    /// Goes through about `bytes` bytes of the old segments, and says whether there is more. Where
    /// there is not, the new segment is complete and on the disk.
    pub(super) fn step(&mut self, index: &RwLock<Index>, bytes: usize) -> Result<bool> {
        if let Some(error) = &self.damage {
            return Err(error.clone());
        }
        if self.moved.is_empty() && self.inputs.is_empty() {
            self.output.complete(self.output_len, self.digest)?;
            let synced = self.output.sync();
            // After a failed sync nobody can tell what is on the disk, and another one would not
            // either.
            synced.inspect_err(|error| self.failure.set(error))?;
            return Ok(false);
        }
        if self.moved.is_empty()
            && let Err(error) = self.collect(index, bytes)
        {
            if let KvsError::Damaged { .. } = error {
                self.damage = Some(error.clone());
            } else if let Some(input) = self.inputs.front_mut() {
                input.skip_to(input.offset());
            }
            return Err(error);
        }
        self.output.write(&self.bytes, self.output_len)?;
        self.output_len += self.bytes.len() as u64;
        self.bytes.clear();
        for some in self.moved.chunks(AT_A_TIME) {
            let mut index = index.write();
            for Move { key, from, to } in some {
                // Meanwhile somebody may have written the key anew.
                index.relocate(key, *from, *to);
            }
        }
        self.moved.clear();
        Ok(true)
    }

    /// The new segment, its length and its digest.
    pub(super) fn output(&self) -> (Arc<Segment>, u64, Digest) {
        (Arc::clone(&self.output), self.output_len, self.digest)
    }

    /// Picks the live ones out of the next records.
    fn collect(&mut self, index: &RwLock<Index>, step: usize) -> Result<()> {
        let mut seen = 0;
        while seen < step {
            let Some(input) = self.inputs.front_mut() else {
                break;
            };
            let Some(Found {
                location: from,
                bytes,
                record,
            }) = input.next()?
            else {
                self.inputs.pop_front();
                continue;
            };
            seen += bytes.len();
            if index.read().location(record.key) == Some(from) {
                let to = Location {
                    offset: self.output_len + self.bytes.len() as u64,
                    generation: self.output.generation,
                    ..from
                };
                let key = record.key.into();
                self.moved.push(Move { key, from, to });
                self.digest.add(bytes);
                self.bytes.extend(bytes);
            }
        }
        Ok(())
    }
}
