//! Compaction: copying what is still alive out of old segments, a step at a time.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::names;
use crate::engine::kvs::format::record::Digest;
use crate::engine::kvs::format::record::Location;
use crate::engine::kvs::format::scanner::{Scanned, Scanner, Step};
use crate::engine::kvs::format::segment::{self, Segment};
use crate::engine::kvs::index::Index;
use crate::engine::kvs::journal::Journal;
use crate::engine::kvs::log::failure::Failure;
use crate::error::Result;
use crate::sync::RwLock;

/// How many records move while readers wait.
const AT_A_TIME: usize = 64;

/// The first half of a compaction: copies the live records of some sealed segments to a new one.
///
/// No other code uses the new segment until it is published. So if the disk is full, the copy can
/// be removed at any moment, and its room is free at once.
#[derive(Debug)]
pub(crate) struct Compaction {
    /// What is still to be read, oldest first.
    inputs: VecDeque<Scanner>,
    output: Arc<Segment>,
    output_len: u64,
    /// The digest of the records of the output.
    digest: Digest,
    failure: Failure,
}

impl Compaction {
    /// Compacts `inputs`, segments with their lengths, oldest first, into the new segment `output`.
    pub(crate) fn new(
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
            failure,
        }
    }

    /// Goes through about `bytes` bytes of the old segments, and says whether there is more. Where
    /// there is not, the new segment is complete and on the disk.
    ///
    /// After an error the output cannot be used.
    pub(crate) fn step(&mut self, index: &RwLock<Index>, bytes: usize) -> Result<Step> {
        if self.inputs.is_empty() {
            self.output.complete(self.output_len, self.digest)?;
            let synced = self.output.sync();
            // After a failed sync nobody can tell what is on the disk, and another one would not
            // either.
            synced.inspect_err(|error| self.failure.set(error))?;
            return Ok(Step::Done);
        }
        let live = self.collect(index, bytes)?;
        self.output.write(&live, self.output_len)?;
        self.output_len += live.len() as u64;
        Ok(Step::More)
    }

    /// Returns the new segment, its length and its digest.
    pub(crate) fn output(&self) -> (Arc<Segment>, u64, Digest) {
        (Arc::clone(&self.output), self.output_len, self.digest)
    }

    /// Removes an output before any attempt to publish it.
    pub(crate) fn abandon(self, dir: LogDir<'_>, journal: &Journal) {
        // If the file cannot be removed, at least its room is free.
        if let Err(error) = self.output.truncate(0) {
            journal.warn(error);
        }
        self.remove_unpublished(dir, journal);
    }

    /// Removes the output unless it was published, because after an error it may have been.
    pub(crate) fn remove_unpublished(self, dir: LogDir<'_>, journal: &Journal) {
        let name = names::segment(self.output.generation);
        if let Err(error) = dir.discard(&name) {
            let line = "an unfinished compaction leaves its file until the store is opened again";
            journal.warn(format_args!("{line}: {error}"));
        }
    }

    /// Returns those of the next records that are live.
    fn collect(&mut self, index: &RwLock<Index>, step: usize) -> Result<Vec<u8>> {
        let mut live = Vec::new();
        let mut seen = 0;
        while seen < step {
            let Some(input) = self.inputs.front_mut() else {
                break;
            };
            let Some(Scanned {
                location,
                bytes,
                record,
            }) = input.next()?
            else {
                self.inputs.pop_front();
                continue;
            };
            seen += bytes.len();
            if index.read().location(record.key) == Some(location) {
                self.digest.add(bytes);
                live.extend(bytes);
            }
        }
        Ok(live)
    }
}

/// The second half of a compaction: points readers at the new segment, which is published and has
/// replaced the old ones on the disk.
#[derive(Debug)]
pub(crate) struct Switch {
    output: Scanner,
    len: u64,
    digest: Digest,
}

impl Switch {
    /// Begins to point readers at `output`, which is `len` bytes long and has this digest.
    pub(crate) fn new(output: Arc<Segment>, len: u64, digest: Digest) -> Switch {
        Switch {
            output: Scanner::new(output, len),
            len,
            digest,
        }
    }

    /// Points readers at about `bytes` bytes of the new segment, and returns whether there are
    /// more. After an error, the next step tries again.
    pub(crate) fn step(&mut self, index: &RwLock<Index>, bytes: usize) -> Result<Step> {
        let end = self.output.offset() + bytes as u64;
        while self.output.offset() < end {
            let mut moved = Vec::with_capacity(AT_A_TIME);
            let read = self.read(&mut moved);
            let mut index = index.write();
            for (key, to) in moved {
                // If a key was written meanwhile, it is in a later segment. If not, it is still
                // where it was copied from.
                if let Some(from) = index.location(&key)
                    && from.generation < to.generation
                {
                    index.relocate(&key, from, to);
                }
            }
            drop(index);
            if read? == Step::Done {
                return Ok(Step::Done);
            }
        }
        Ok(Step::More)
    }

    /// Reads a few records, and returns whether there are more.
    fn read(&mut self, moved: &mut Vec<(Box<str>, Location)>) -> Result<Step> {
        while moved.len() < AT_A_TIME {
            match self.output.next() {
                Ok(Some(found)) => moved.push((found.record.key.into(), found.location)),
                Ok(None) => return Ok(Step::Done),
                Err(error) => {
                    self.output.skip_to(self.output.offset());
                    return Err(error);
                }
            }
        }
        Ok(Step::More)
    }

    /// Returns the new segment, its length and its digest.
    pub(crate) fn output(&self) -> (Arc<Segment>, u64, Digest) {
        (Arc::clone(self.output.segment()), self.len, self.digest)
    }
}
