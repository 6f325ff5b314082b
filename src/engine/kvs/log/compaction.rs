//! Compaction: copies the live records of some sealed segments to a new one, a step at a time.
//!
//! It has three parts. [`Compaction`] makes the copy. It reads the keys of the segments from their
//! hints, and from the segments only what is alive. When it is published, [`Switch`] points
//! readers at it, and [`Removal`](super::removal::Removal) removes the segments that it replaces.

use std::collections::VecDeque;
use std::sync::Arc;

use super::end::End;
use super::failure::Failure;
use super::syncer::MANY;
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::hints::{self, Hints};
use crate::engine::kvs::format::names;
use crate::engine::kvs::format::record::{self, Location};
use crate::engine::kvs::format::scanner::{Scanner, Step};
use crate::engine::kvs::format::segment::Segment;
use crate::engine::kvs::index::Index;
use crate::engine::kvs::index::few::{FEW, KeyList};
use crate::engine::kvs::journal::Journal;
use crate::error::Result;
use crate::sync::RwLock;

/// The first part of a compaction: copies the live records of some sealed segments to a new one.
///
/// No other code uses the new segment until it is published. So if the disk is full, the copy can
/// be removed at any moment, and its room is free at once.
#[derive(Debug)]
pub(crate) struct Compaction {
    /// The segments that are not copied yet, oldest first.
    inputs: VecDeque<Input>,
    output: End,
    /// The length of the output up to which it is on the disk.
    synced: u64,
    /// The hints of the output.
    hints: hints::Writer,
    failure: Failure,
}

impl Compaction {
    /// Begins to copy the segments `inputs`, oldest first, to the new segment `output`.
    pub(super) fn new<'a>(
        dir: LogDir<'_>,
        inputs: impl Iterator<Item = &'a End>,
        output: Arc<Segment>,
        hints: hints::Writer,
        failure: Failure,
    ) -> Compaction {
        Compaction {
            inputs: inputs.map(|end| Input::open(dir, end)).collect(),
            output: End::of_new(output),
            synced: 0,
            hints,
            failure,
        }
    }

    /// Copies the live records among the next `bytes` bytes or so, and returns whether there is
    /// more to copy. If there is not, the output is complete and on the disk.
    ///
    /// After an error, the output cannot be used.
    pub(super) fn step(&mut self, index: &RwLock<Index>, bytes: usize) -> Result<Step> {
        if self.inputs.is_empty() {
            // The header has the length and the digest, so it is written when both are known.
            self.output
                .segment
                .complete(self.output.len, self.output.digest)?;
            self.sync()?;
            return Ok(Step::Done);
        }
        let live = self.read_live(index, bytes)?;
        self.output.segment.write(&live, self.output.len)?;
        self.output.len += live.len() as u64;
        self.hints.write()?;
        // If there is much to sync at the end, the disk keeps the syncs of writers waiting.
        if self.output.len - self.synced >= MANY {
            self.sync()?;
        }
        Ok(Step::More)
    }

    fn sync(&mut self) -> Result<()> {
        let synced = self.output.segment.sync();
        synced.inspect_err(|error| self.failure.set(error))?;
        self.synced = self.output.len;
        Ok(())
    }

    /// Returns the live records among the next `step` bytes or so.
    fn read_live(&mut self, index: &RwLock<Index>, step: usize) -> Result<Vec<u8>> {
        let (mut bytes, mut seen) = (Vec::new(), 0);
        let (mut found, mut live) = (KeyList::new(FEW), Vec::new());
        while let Some(input) = self.inputs.front_mut()
            && seen < step
        {
            let (listed, next) = input.list(step - seen, &mut found)?;
            seen += listed;
            let index = index.read();
            // Tombstones are not in the index, so they are left out. The records that they hide are
            // left out as well: the segments before the inputs are copies already.
            let is_live =
                |(key, location): &(&str, Location)| index.location(key) == Some(*location);
            for few in found.chunks() {
                index.look_ahead(few.clone().map(|(key, _)| key));
                live.extend(few.filter(is_live).map(|(_, location)| location));
            }
            drop(index);
            found.clear();
            let segment = Arc::clone(&input.segment);
            if next == Step::Done {
                self.inputs.pop_front();
            }
            self.copy(&segment, &live, &mut bytes)?;
            live.clear();
        }
        Ok(bytes)
    }

    /// Appends the records at these places in `segment` to `copies`.
    fn copy(&mut self, segment: &Segment, places: &[Location], copies: &mut Vec<u8>) -> Result<()> {
        // Reading a short gap takes less time than another system call.
        const GAP: u64 = 4096;
        for near in places.chunk_by(|a, b| b.offset < a.end() + GAP) {
            let (start, end) = (near[0].offset, near[near.len() - 1].end());
            let read = segment.read(start, (end - start) as usize)?;
            for place in near {
                let bytes = &read[(place.offset - start) as usize..][..place.len as usize];
                let record = segment.decode(bytes, place.offset)?;
                if record::len(record.key.len(), record.value.map(str::len)) != bytes.len() {
                    return Err(segment.damaged(place.offset, "the record has another length"));
                }
                self.output.digest.add(bytes);
                self.hints.add(record.sequence, record.key.len(), bytes);
                copies.extend_from_slice(bytes);
            }
        }
        Ok(())
    }

    /// Returns the new segment up to its end.
    pub(super) fn output(&self) -> &End {
        &self.output
    }

    /// Returns the hints of the new segment.
    pub(super) fn hints(&self) -> Hints {
        self.hints.hints(self.output.len, self.output.digest)
    }

    /// Removes the output and frees its room. There must have been no attempt to publish it.
    pub(super) fn discard(self, dir: LogDir<'_>, journal: &Journal) {
        // If the file cannot be removed, at least its room is free.
        if let Err(error) = self.output.segment.truncate(0) {
            journal.warn(error);
        }
        self.discard_unless_published(dir, journal);
    }

    /// Removes the hints, which are not published.
    pub(super) fn discard_hints(&self, dir: LogDir<'_>, journal: &Journal) {
        if let Err(error) = self.hints.discard(dir) {
            journal.warn(error);
        }
    }

    /// Removes the output after a failed attempt to publish it, unless it is published.
    pub(super) fn discard_unless_published(self, dir: LogDir<'_>, journal: &Journal) {
        // This does not shorten the file: if it has its final name, it is a part of the log.
        let name = names::segment(self.output.segment.generation);
        self.discard_hints(dir, journal);
        if let Err(error) = dir.discard(&name) {
            let line = "an unfinished compaction leaves its file until the store is opened again";
            journal.warn(format_args!("{line}: {error}"));
        }
    }
}

/// A segment whose live records are copied.
#[derive(Debug)]
struct Input {
    segment: Arc<Segment>,
    end: u64,
    keys: Keys,
    /// The number of the last record that was listed.
    sequence: u64,
}

/// Where the keys of a segment are read.
#[derive(Debug)]
enum Keys {
    Hints(hints::Reader),
    /// In the segment, because its hints are missing or damaged.
    Records(Scanner),
}

impl Input {
    fn open(dir: LogDir<'_>, end: &End) -> Input {
        let End {
            segment,
            len,
            digest,
        } = end;
        let hints = Hints::open(dir, segment.generation)
            .filter(|hints| hints.are_of(segment, *len, *digest));
        Input {
            keys: match hints {
                Some(hints) => Keys::Hints(hints::Reader::new(hints)),
                None => Keys::Records(Scanner::new(Arc::clone(segment), *len)),
            },
            sequence: segment.origin.before_first(),
            segment: Arc::clone(segment),
            end: *len,
        }
    }

    /// Adds the next few keys with their places to `found`. Returns the number of bytes of their
    /// records, which is about `step` at most, and whether there are more.
    fn list(&mut self, step: usize, found: &mut KeyList<Location>) -> Result<(usize, Step)> {
        // Long records are not worth the memory of a few.
        const LONG: usize = 64 * 1024;
        let mut bytes = 0;
        while !found.is_full() && bytes < step.min(LONG) {
            let next = match &mut self.keys {
                Keys::Hints(hints) => match hints.next() {
                    Ok(next) => next.map(|hint| (hint.key, hint.location, hint.sequence)),
                    Err(_) => {
                        // The segment has all that its hints have.
                        let segment = Arc::clone(&self.segment);
                        let offset = hints.offset();
                        let rest = Scanner::resume(segment, self.end, offset, self.sequence);
                        self.keys = Keys::Records(rest);
                        continue;
                    }
                },
                Keys::Records(records) => records
                    .next()?
                    .map(|it| (it.record.key, it.location, it.record.sequence)),
            };
            let Some((key, location, sequence)) = next else {
                return Ok((bytes, Step::Done));
            };
            found.push(key, location);
            bytes += location.len as usize;
            self.sequence = sequence;
        }
        Ok((bytes, Step::More))
    }
}

/// The second part of a compaction: points readers at the new segment, which is published and has
/// replaced the old ones on the disk. The hints have all that this needs.
#[derive(Debug)]
pub(crate) struct Switch {
    output: End,
    hints: hints::Reader,
}

impl Switch {
    /// Begins to point readers at `output`.
    pub(super) fn new(output: End, hints: Hints) -> Switch {
        Switch {
            hints: hints::Reader::new(hints),
            output,
        }
    }

    /// Points readers at about `bytes` bytes of the new segment, and returns whether there are
    /// more. After an error, the next step tries again.
    pub(super) fn step(&mut self, index: &RwLock<Index>, bytes: usize) -> Result<Step> {
        let end = self.hints.offset() + bytes as u64;
        let mut moved = KeyList::new(FEW);
        while self.hints.offset() < end {
            let read = self.read(&mut moved);
            // Readers wait while these few keys move.
            let mut index = index.write();
            for few in moved.chunks() {
                index.look_ahead(few.clone().map(|(key, _)| key));
                few.for_each(|(key, to)| index.relocate(key, to));
            }
            drop(index);
            moved.clear();
            if read? == Step::Done {
                return Ok(Step::Done);
            }
        }
        Ok(Step::More)
    }

    /// Reads a few hints, without a lock on the index, and returns whether there are more. After an
    /// error, `moved` has the keys before it.
    fn read(&mut self, moved: &mut KeyList<Location>) -> Result<Step> {
        while !moved.is_full() {
            match self.hints.next()? {
                Some(hint) => moved.push(hint.key, hint.location),
                None => return Ok(Step::Done),
            }
        }
        Ok(Step::More)
    }

    /// Returns the new segment up to its end.
    pub(super) fn into_output(self) -> End {
        self.output
    }
}
