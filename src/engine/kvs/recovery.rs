//! Opening a log: finding out where everything is, and what a crash has left.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use log::{info, warn};

use super::checkpoint::{self, Covered};
use super::hints::{self, Hints};
use super::index::{Index, Location};
use super::record::Salt;
use super::segment::{self, Found, Generation, HEADER_LEN, Listing, Origin, Scanner, Segment};
use super::unsynced::LastRun;
use crate::engine::files::Directory;
use crate::error::{KvsError, Result};

/// A segment that nobody writes to any more.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) segment: Arc<Segment>,
    pub(super) len: u64,
    /// Whether its hints are still to be written.
    pub(super) wants_hints: bool,
}

/// A log as it was found.
#[derive(Debug, Default)]
pub(super) struct Recovered {
    pub(super) index: Index,
    /// All segments but the one that writing goes on in.
    pub(super) sealed: BTreeMap<Generation, Sealed>,
    /// The newest segment, and how much of it counts, where writing can go on in it.
    pub(super) active: Option<(Arc<Segment>, u64)>,
    /// The number of the last write.
    pub(super) sequence: u64,
    /// Bytes of the log that there is a checkpoint of.
    pub(super) covered: u64,
    /// What all its records are salted with, unless there is none.
    pub(super) salt: Option<Salt>,
    /// How much of `active` is known to have been on the disk.
    pub(super) synced: u64,
    /// What is behind the end of `active`, and more than the rest of one write.
    torn: Option<Range<u64>>,
    /// The names of files that mean nothing any more.
    leftovers: Vec<String>,
}

impl Recovered {
    /// Reads the log in `dir`, which may be empty, and changes nothing.
    pub(super) fn read(dir: &dyn Directory) -> Result<Recovered> {
        let Listing {
            segments: generations,
            hints,
            has_checkpoint,
            unfinished,
        } = Listing::of(dir)?;
        let last_run = LastRun::of(dir);

        // What compaction made takes the place of everything before it. Where that is still there,
        // a crash came between.
        let mut segments = Vec::new();
        for generation in generations.iter().rev() {
            let segment = Segment::open(dir, *generation)?;
            let is_compacted = matches!(segment.origin, Origin::Compacted { .. });
            let end = segment.len()?;
            segments.push((Arc::new(segment), end));
            if is_compacted {
                break;
            }
        }
        segments.reverse();
        let oldest = segments.first().map(|(segment, _)| segment.generation);
        let newest = segments.last().map(|(segment, _)| segment.generation);
        let is_leftover = |generation: &&Generation| Some(**generation) < oldest;
        let mut leftovers = unfinished;
        leftovers.extend(
            generations
                .iter()
                .filter(is_leftover)
                .map(|generation| segment::name(*generation)),
        );
        leftovers.extend(
            hints
                .iter()
                .filter(|generation| !generations.contains(generation) || is_leftover(generation))
                .map(|generation| hints::name(*generation)),
        );
        if Some(last_run.watermark.generation) > newest.or(Some(0)) {
            return Err(KvsError::Damaged {
                file: dir
                    .path()
                    .join(segment::name(last_run.watermark.generation)),
                offset: 0,
                reason: "the file is missing".to_owned(),
            });
        }

        let (log, covered) = match Covered::read(dir, &segments, &last_run) {
            Some((covered, index)) => {
                let log = Recovered {
                    index,
                    sequence: covered.sequence,
                    covered: covered.bytes(),
                    ..Recovered::default()
                };
                (log, covered.segments)
            }
            None => Default::default(),
        };
        let mut log = match log.replay_all(&segments, &covered, Some(dir), &last_run) {
            // It may be the checkpoint or the hints that are wrong. Only the log itself can tell.
            Err(KvsError::Damaged { .. }) => {
                Recovered::default().replay_all(&segments, &BTreeMap::new(), None, &last_run)?
            }
            read => read?,
        };
        if has_checkpoint && log.covered == 0 {
            leftovers.push(checkpoint::NAME.to_owned());
        }
        log.leftovers = leftovers;
        Ok(log)
    }

    /// Reads these segments, but for what is covered by the checkpoint that this begins with. Goes by
    /// hints where there is a directory with some.
    fn replay_all(
        mut self,
        segments: &[(Arc<Segment>, u64)],
        covered: &BTreeMap<Generation, u64>,
        with_hints: Option<&dyn Directory>,
        last_run: &LastRun,
    ) -> Result<Recovered> {
        let newest = segments.last().map(|(segment, _)| segment.generation);
        for (segment, end) in segments {
            let (segment, end) = (Arc::clone(segment), *end);
            let covered = covered.get(&segment.generation).copied();
            if let Origin::Written { after } = segment.origin
                && after != self.sequence
                && covered.is_none()
            {
                let found = self.sequence;
                return Err(segment.damaged(
                    0,
                    &format!("it goes on after write {after}, and what is before it ends with write {found}"),
                ));
            }
            if self.salt.is_some_and(|salt| salt != segment.salt) {
                return Err(segment.damaged(0, segment::FOREIGN));
            }
            self.index.add_segment(Arc::clone(&segment));
            self.salt = Some(segment.salt);
            if Some(segment.generation) == newest
                && matches!(segment.origin, Origin::Written { .. })
            {
                let start = covered.unwrap_or(HEADER_LEN);
                let len = self.replay_newest(&segment, start..end, last_run)?;
                self.active = Some((segment, len));
                continue;
            }
            let hints = with_hints.and_then(|dir| Hints::open(dir, segment.generation));
            let hints = hints.filter(|hints| hints.segment_len == end);
            let mut wants_hints = hints.is_none();
            if covered != Some(end) {
                // Where they break off, reading the segment puts right what they have said.
                let last = hints.and_then(|hints| {
                    self.index.reserve(hints.about_how_many(), 0);
                    hints.read(|key, location, _, has_value| {
                        note(&mut self.index, key, has_value.then_some(location));
                    })?;
                    Some(hints.sequence)
                });
                wants_hints = last.is_none();
                let last = last.map_or_else(|| self.replay(&segment, end), Ok)?;
                self.sequence = match segment.origin {
                    Origin::Written { .. } => last,
                    Origin::Compacted { upto } => upto,
                };
            }
            let sealed = Sealed {
                segment,
                len: end,
                wants_hints,
            };
            self.sealed.insert(sealed.segment.generation, sealed);
        }
        Ok(self)
    }

    /// Removes what is left over and makes sure of the rest, so that what is read from now on
    /// cannot be lost. All is known to be sound.
    pub(super) fn settle(&mut self, dir: &dyn Directory) -> Result<()> {
        segment::sync_names(dir)?;
        if !self.leftovers.is_empty() {
            for name in self.leftovers.drain(..) {
                info!("removing {name:?}, which means nothing any more");
                segment::remove(dir, &name)?;
            }
            // A checkpoint that came back might be taken for one of what is written from now on.
            segment::sync_names(dir)?;
        }
        if let Some((segment, len)) = &self.active
            && *len < segment.len()?
        {
            if let Some(torn) = self.torn.take() {
                let kept = segment.keep_aside(dir, torn.start, torn.end, "torn")?;
                warn!("what is dropped is kept in {kept:?}");
            }
            segment.truncate(*len)?;
        }
        Ok(())
    }

    /// Reads a segment that ought to be whole, and returns the number of its last write.
    fn replay(&mut self, segment: &Arc<Segment>, end: u64) -> Result<u64> {
        let mut scanner = Scanner::new(Arc::clone(segment), end);
        while self.replay_next(&mut scanner)? {}
        Ok(scanner.sequence())
    }

    /// Reads that part of the newest segment, and says up to where it counts: all of it, or, where
    /// the last writes have not come to the disk whole, all up to there.
    fn replay_newest(
        &mut self,
        segment: &Arc<Segment>,
        Range { start, end }: Range<u64>,
        last_run: &LastRun,
    ) -> Result<u64> {
        let mut scanner = Scanner::from(Arc::clone(segment), start, self.sequence, end);
        self.synced = last_run.synced(segment.generation);
        let len = loop {
            match self.replay_next(&mut scanner) {
                Ok(true) => {}
                Ok(false) => break end,
                Err(error @ KvsError::Damaged { offset, .. }) => {
                    let any_behind = segment.find_record(offset + 1, end)?.is_some();
                    if any_behind && !last_run.may_lack_pages(segment.generation, offset) {
                        return Err(error);
                    }
                    let lost = end - offset;
                    warn!(
                        "{:?} ends with writes that were cut short: dropping its last {lost} bytes",
                        segment.path
                    );
                    if any_behind || offset < self.synced {
                        self.torn = Some(offset..end);
                    }
                    break offset;
                }
                Err(error) => return Err(error),
            }
        };
        self.sequence = scanner.sequence();
        if len < self.synced {
            let lost = self.synced - len;
            warn!(
                "{:?} lacks {lost} bytes that were on the disk once: is that failing?",
                segment.path
            );
            self.synced = len;
        }
        Ok(len)
    }

    /// Notes the next record in the index, where there is one.
    fn replay_next(&mut self, scanner: &mut Scanner) -> Result<bool> {
        let Some(Found {
            location, record, ..
        }) = scanner.next()?
        else {
            return Ok(false);
        };
        note(&mut self.index, record.key, record.value.map(|_| location));
        Ok(true)
    }
}

fn note(index: &mut Index, key: &str, location: Option<Location>) {
    match location {
        Some(location) => index.put(key, location, None),
        None => index.remove(key),
    }
}
