//! Opening a log: finding out where everything is, and what a crash has left.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use log::{info, warn};

use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::hints::Hints;
use crate::engine::kvs::format::listing::Listing;
use crate::engine::kvs::format::names::{self, Generation};
use crate::engine::kvs::format::record::Location;
use crate::engine::kvs::format::record::{Digest, Salt};
use crate::engine::kvs::format::salvage;
use crate::engine::kvs::format::scanner::{Scanned, Scanner};
use crate::engine::kvs::format::segment::{Opened, Origin, Segment};
use crate::engine::kvs::format::sound;
use crate::engine::kvs::format::watermark::LastRun;
use crate::engine::kvs::index::Index;
use crate::engine::kvs::index::checkpoint::Checkpoint;
use crate::error::{KvsError, Result};

/// Another possible cause, if a log is damaged when it is opened.
const COPIED: &str = "if this directory was copied while a server used it, copy it again as \
     \"Backups\" in docs/guarantees.md says";

/// A segment that is no longer written to.
#[derive(Debug)]
pub(crate) struct Sealed {
    pub(crate) segment: Arc<Segment>,
    pub(crate) len: u64,
    pub(crate) digest: Digest,
    /// Whether a header has the digest, which proves that hints and checkpoint belong to the
    /// segment.
    pub(crate) is_proven: bool,
    /// Whether its hints are still to be written.
    pub(crate) wants_hints: bool,
}

/// A log as it was found.
#[derive(Debug, Default)]
pub(crate) struct Recovered {
    pub(crate) index: Index,
    /// All segments but the one that writing goes on in.
    pub(crate) sealed: BTreeMap<Generation, Sealed>,
    /// The newest segment, and how much of it counts, where writing can go on in it.
    pub(crate) active: Option<(Arc<Segment>, u64)>,
    /// The number of the last write.
    pub(crate) sequence: u64,
    /// Bytes of the log that there is a checkpoint of.
    pub(crate) covered: u64,
    /// What all its records are salted with, unless there is none.
    pub(crate) salt: Option<Salt>,
    /// The digest of the newest segment's records.
    pub(crate) digest: Digest,
    /// How much of `active` is known to have been on the disk.
    pub(crate) synced: u64,
    /// What is behind the end of `active`, and more than the rest of one write.
    torn: Option<Range<u64>>,
    /// The names of files that mean nothing any more.
    leftovers: Vec<String>,
}

impl Recovered {
    /// Reads the log in `dir`, which may be empty, and changes nothing.
    pub(crate) fn read(dir: LogDir<'_>) -> Result<Recovered> {
        Recovered::read_whole(dir).map_err(|error| match error {
            KvsError::Damaged {
                file,
                offset,
                reason,
            } => KvsError::Damaged {
                file,
                offset,
                reason: format!("{reason} ({COPIED})"),
            },
            error => error,
        })
    }

    fn read_whole(dir: LogDir<'_>) -> Result<Recovered> {
        let Listing {
            segments: generations,
            hints,
            has_checkpoint,
            unfinished,
        } = Listing::of(dir)?;
        let mut last_run = LastRun::of(dir);

        // What compaction made takes the place of everything before it. Where that is still there,
        // a crash came between.
        let mut segments = Vec::new();
        for generation in generations.iter().rev() {
            let segment = Segment::open(dir, *generation)?;
            let is_compacted = segment.origin.is_compacted();
            let newer = segments.last();
            segments.push(Opened {
                len: segment.len()?,
                proof: match segment.origin {
                    Origin::Compacted { .. } => segment.recorded,
                    Origin::Written { .. } => {
                        newer.and_then(|newer: &Opened| newer.segment.recorded)
                    }
                },
                segment: Arc::new(segment),
            });
            if is_compacted {
                break;
            }
        }
        segments.reverse();
        let oldest = segments.first().map(|opened| opened.segment.generation);
        let newest = segments.last().map(|opened| opened.segment.generation);
        if let Some(opened) = segments.last() {
            last_run.check_salt(opened.segment.salt);
        }
        let is_leftover = |generation: &&Generation| Some(**generation) < oldest;
        let mut leftovers = unfinished;
        leftovers.extend(
            generations
                .iter()
                .filter(is_leftover)
                .map(|generation| names::segment(*generation)),
        );
        leftovers.extend(
            hints
                .iter()
                .filter(|generation| !generations.contains(generation) || is_leftover(generation))
                .map(|generation| names::hints(*generation)),
        );
        if Some(last_run.watermark.generation) > newest.or(Some(0)) {
            return Err(KvsError::Damaged {
                file: dir
                    .path()
                    .join(names::segment(last_run.watermark.generation)),
                offset: 0,
                reason: sound::MISSING.to_owned(),
            });
        }

        let (log, covered) = match Checkpoint::read(dir, &segments) {
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
            leftovers.push(names::CHECKPOINT.to_owned());
        }
        log.leftovers = leftovers;
        Ok(log)
    }

    /// Reads these segments, but for what is covered by the checkpoint that this begins with. Goes by
    /// hints where there is a directory with some.
    fn replay_all(
        mut self,
        segments: &[Opened],
        covered: &BTreeMap<Generation, (u64, Digest)>,
        with_hints: Option<LogDir<'_>>,
        last_run: &LastRun,
    ) -> Result<Recovered> {
        let newest = segments.last().map(|opened| opened.segment.generation);
        for opened in segments {
            let (segment, end) = (Arc::clone(&opened.segment), opened.len);
            let is_covered = covered.contains_key(&segment.generation);
            if let Origin::Written { after } = segment.origin
                && after != self.sequence
                && !is_covered
            {
                let found = self.sequence;
                return Err(segment.damaged(
                    0,
                    &format!("it goes on after write {after}, and what is before it ends with write {found}"),
                ));
            }
            if self.salt.is_some_and(|salt| salt != segment.salt) {
                return Err(segment.damaged(0, sound::FOREIGN));
            }
            self.index.add_segment(Arc::clone(&segment));
            self.salt = Some(segment.salt);
            if Some(segment.generation) == newest
                && matches!(segment.origin, Origin::Written { .. })
            {
                let len = self.replay_newest(&segment, end, last_run.clone())?;
                self.active = Some((segment, len));
                continue;
            }
            let hints = with_hints.and_then(|dir| Hints::open(dir, segment.generation));
            let hints = hints.filter(|hints| {
                let proof = opened.proof;
                proof.is_some_and(|digest| hints.are_of(&segment, end, digest))
            });
            let mut wants_hints = hints.is_none() && opened.proof.is_some();
            if is_covered {
                self.digest = opened.proof.unwrap_or_default();
            } else {
                // If the hints end early, reading the segment corrects the entries made so far.
                let last = hints.and_then(|hints| {
                    self.index.reserve(hints.about_how_many(), 0);
                    hints.read(|hint| {
                        note(
                            &mut self.index,
                            hint.key,
                            hint.has_value.then_some(hint.location),
                        );
                    })?;
                    Some((hints.header.sequence, hints.header.digest))
                });
                wants_hints |= last.is_none() && opened.proof.is_some();
                let (last, digest) = last.map_or_else(|| self.replay(&segment, end), Ok)?;
                if opened.proof.is_some_and(|proof| proof != digest) {
                    return Err(segment.damaged(0, sound::REPLACED));
                }
                self.digest = digest;
                self.sequence = match segment.origin {
                    Origin::Written { .. } => last,
                    Origin::Compacted { upto } => upto,
                };
            }
            let sealed = Sealed {
                segment,
                len: end,
                digest: self.digest,
                is_proven: opened.proof.is_some(),
                wants_hints,
            };
            self.sealed.insert(sealed.segment.generation, sealed);
        }
        Ok(self)
    }

    /// Removes what is left over and makes sure of the rest, so that what is read from now on
    /// cannot be lost. All is known to be sound.
    pub(crate) fn settle(&mut self, dir: LogDir<'_>) -> Result<()> {
        dir.sync()?;
        if !self.leftovers.is_empty() {
            for name in self.leftovers.drain(..) {
                info!("removing {name:?}, which means nothing any more");
                dir.remove(&name)?;
            }
            // A checkpoint that came back might be taken for one of what is written from now on.
            dir.sync()?;
        }
        // Sealed segments were synced, but if this directory is a copy, perhaps on another disk.
        for sealed in self.sealed.values() {
            sealed.segment.sync()?;
        }
        let Some((segment, len)) = &mut self.active else {
            return Ok(());
        };
        if let Some(torn) = self.torn.take() {
            let kept = salvage::quarantine(dir, segment, torn.start, torn.end, "torn")?;
            warn!("the dropped bytes are kept in {kept:?}");
        }
        if let Some(copy) = segment.detach(dir, *len)? {
            *segment = Arc::new(copy);
            self.index.add_segment(Arc::clone(segment));
        } else if *len < segment.len()? {
            segment.truncate(*len)?;
        }
        Ok(())
    }

    /// Reads a segment that ought to be whole, and returns the number of its last write and the
    /// digest of its records.
    fn replay(&mut self, segment: &Arc<Segment>, end: u64) -> Result<(u64, Digest)> {
        let mut scanner = Scanner::new(Arc::clone(segment), end);
        while self.replay_next(&mut scanner)? {}
        Ok((scanner.sequence(), scanner.digest()))
    }

    /// Reads the newest segment, and returns the offset at which its valid part ends. That is the
    /// end of the file, unless a crash has cut short the last writes.
    fn replay_newest(
        &mut self,
        segment: &Arc<Segment>,
        end: u64,
        mut last_run: LastRun,
    ) -> Result<u64> {
        let mut scanner = Scanner::new(Arc::clone(segment), end);
        let len = loop {
            last_run.check_digest(segment, scanner.offset(), scanner.digest());
            match self.replay_next(&mut scanner) {
                Ok(true) => {}
                Ok(false) => break end,
                Err(error @ KvsError::Damaged { offset, .. }) => {
                    let any_behind = salvage::find_record(&segment, offset + 1, end)?.is_some();
                    if any_behind && !last_run.may_lack_pages(segment, offset) {
                        return Err(error);
                    }
                    let lost = end - offset;
                    warn!(
                        "{:?} ends with writes that were cut short: dropping its last {lost} bytes",
                        segment.path()
                    );
                    if any_behind || offset < last_run.synced(segment) {
                        self.torn = Some(offset..end);
                    }
                    break offset;
                }
                Err(error) => return Err(error),
            }
        };
        (self.sequence, self.digest) = (scanner.sequence(), scanner.digest());
        self.synced = last_run.synced(segment);
        if len < self.synced {
            let lost = self.synced - len;
            warn!(
                "{:?} lacks {lost} bytes that were on the disk once: is that failing?",
                segment.path()
            );
            self.synced = len;
        }
        Ok(len)
    }

    /// Notes the next record in the index, where there is one.
    fn replay_next(&mut self, scanner: &mut Scanner) -> Result<bool> {
        let Some(Scanned {
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
