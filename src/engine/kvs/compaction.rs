//! Compaction: copying what is still alive out of old segments, a step at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use parking_lot::RwLock;

use super::index::{Index, Location};
use super::segment::{self, Found, Scanner, Segment};
use crate::error::Result;

/// Bytes of old segments that one step looks at. A write that arrives meanwhile waits that long.
const STEP_BYTES: usize = 1024 * 1024;

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
    /// Records on their way to the end of the output, and where they will be then. After a write
    /// that failed they are still here, for the next try.
    bytes: Vec<u8>,
    moved: Vec<(Box<str>, Location)>,
}

impl Compaction {
    /// Compacts `inputs`, segments with their lengths, oldest first, into the new segment `output`.
    pub(super) fn new(inputs: Vec<(Arc<Segment>, u64)>, output: Arc<Segment>) -> Compaction {
        let scanners = inputs.into_iter();
        Compaction {
            inputs: scanners
                .map(|(segment, len)| Scanner::new(segment, len))
                .collect(),
            output,
            output_len: segment::HEADER_LEN,
            bytes: Vec::new(),
            moved: Vec::new(),
        }
    }

    /// Does a bounded piece of the work, and says whether there is more. Nobody else may change
    /// the index meanwhile.
    pub(super) fn step(&mut self, index: &RwLock<Index>) -> Result<bool> {
        if self.moved.is_empty() {
            self.collect(index)?;
        }
        self.output.write(&self.bytes, self.output_len)?;
        self.output_len += self.bytes.len() as u64;
        self.bytes.clear();
        let mut index = index.write();
        for (key, location) in self.moved.drain(..) {
            index.put(&key, Some(location));
        }
        Ok(!self.inputs.is_empty())
    }

    /// The new segment and its length. It is complete once there is nothing more to do.
    pub(super) fn output(&self) -> (Arc<Segment>, u64) {
        (Arc::clone(&self.output), self.output_len)
    }

    /// Picks the live ones out of the next records.
    fn collect(&mut self, index: &RwLock<Index>) -> Result<()> {
        let index = index.read();
        let mut seen = 0;
        while seen < STEP_BYTES {
            let Some(input) = self.inputs.front_mut() else {
                break;
            };
            let generation = input.generation();
            let Some(Found {
                offset,
                bytes,
                record,
            }) = input.next()?
            else {
                self.inputs.pop_front();
                continue;
            };
            seen += bytes.len();
            let here = Location {
                offset,
                generation,
                len: bytes.len() as u32,
            };
            if index.get(record.key) == Some(here) {
                let there = Location {
                    offset: self.output_len + self.bytes.len() as u64,
                    generation: self.output.generation,
                    ..here
                };
                self.moved.push((record.key.into(), there));
                self.bytes.extend(bytes);
            }
        }
        Ok(())
    }
}
