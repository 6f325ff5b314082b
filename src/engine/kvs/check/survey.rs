//! Reading a whole log, damage included.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::losses::{Losses, Newest, guess_keys};
use super::report::{Damage, Progress, Report, Torn};
use super::segments::{self, Found, Log, Scope};
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::hints::Hints;
use crate::engine::kvs::format::listing::Listing;
use crate::engine::kvs::format::names::{self, Generation};
use crate::engine::kvs::format::record::Digest;
use crate::engine::kvs::format::salvage;
use crate::engine::kvs::format::scanner::{Scanned, Scanner};
use crate::engine::kvs::format::segment::{Origin, Segment};
use crate::engine::kvs::format::sound::{self, Continuity, Fault, Tail};
use crate::engine::kvs::format::watermark::LastRun;
use crate::error::{KvsError, Result};

/// The use of the sound records in a torn tail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TornTail {
    /// Drops them, as opening the store does.
    Drop,
    /// Reads them, and treats the bytes between them as damage.
    Save,
}

/// A log as it is, damage included.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) report: Report,
    /// The newest sound record of each key.
    pub(super) newest: HashMap<String, Newest>,
    pub(super) segments: BTreeMap<Generation, Arc<Segment>>,
    /// The segments with damaged bytes, or with records that are not those of the log.
    pub(super) damaged: BTreeSet<Generation>,
    /// The number of the last write.
    pub(super) sequence: u64,
    /// Whether there are older segments, which were not read.
    pub(super) has_older: bool,
}

impl Survey {
    /// Reads the log in `dir` and changes nothing.
    pub(super) fn of(
        dir: LogDir<'_>,
        scope: Scope,
        torn_tail: TornTail,
        progress: Progress<'_>,
    ) -> Result<Survey> {
        let listing = Listing::of(dir)?;
        let found = segments::open(dir, &listing, scope)?;
        let mut surveyor = Surveyor::new(dir, &listing, &found, torn_tail);
        let log = surveyor.with_missing(found, &listing);
        surveyor.losses.set_proofs(segments::proofs(&log));
        // These lengths stay as they are, so a store that writes meanwhile cannot make `done`
        // overtake `all`.
        let all = log.values().flatten().map(|found| found.len).sum();
        surveyor.survey.report.bytes = all;
        let mut done = 0;
        for (generation, found) in log {
            let Some(found) = found else {
                surveyor.note_missing(generation);
                continue;
            };
            let len = found.len;
            surveyor.read(found, &mut |offset| progress(done + offset, all))?;
            done += len;
        }
        progress(all, all);
        Ok(surveyor.finish())
    }
}

/// Reads the segments, oldest first, and notes all damage.
struct Surveyor<'a> {
    dir: LogDir<'a>,
    survey: Survey,
    losses: Losses<'a>,
    continuity: Continuity,
    last_run: LastRun,
    torn_tail: TornTail,
    /// The newest segment, the only one that may have a torn tail.
    newest: Option<Generation>,
    /// The segment before the current one.
    before: Option<Before>,
}

/// A segment that was read.
#[derive(Debug, Clone, Copy)]
struct Before {
    generation: Generation,
    len: u64,
}

impl<'a> Surveyor<'a> {
    /// `found` are the segments, newest first.
    fn new(
        dir: LogDir<'a>,
        listing: &Listing,
        found: &[Found],
        torn_tail: TornTail,
    ) -> Surveyor<'a> {
        let mut last_run = LastRun::of(dir);
        // If no header is sound, the watermark has a copy of the salt.
        let newest_sound = found.iter().find(|found| found.origin.is_some());
        let salt = newest_sound.map(|found| found.segment.salt);
        if let Some(salt) = salt {
            last_run.check_salt(salt);
        }
        Surveyor {
            dir,
            survey: Survey {
                has_older: found.len() < listing.segments.len(),
                ..Survey::default()
            },
            losses: Losses::new(dir, salt.or(last_run.salt)),
            continuity: Continuity::default(),
            last_run,
            torn_tail,
            newest: listing.segments.last().copied(),
            before: None,
        }
    }

    /// Returns the log with the segments that are missing from it: those that have hints, and the
    /// one that the watermark names.
    fn with_missing(&self, found: Vec<Found>, listing: &Listing) -> Log {
        let oldest = found.last().map_or(0, |found| found.segment.generation);
        let hints = listing.hints.iter().copied();
        // Hints of another store do not mean that a segment is missing, nor those of a segment that
        // compaction has removed.
        let is_missing = |n: &Generation| {
            let hints = self.losses.hints(*n);
            // Nothing is lost with a segment that has no records.
            hints.is_some_and(|hints| hints.has_records() && !is_replaced(*n, &hints, &found))
        };
        let synced = self.last_run.watermark.generation;
        let mut newer = found.iter().rev();
        let newer = newer.find(|found| found.segment.generation > synced);
        // The watermark is not synced itself, so it may name a segment that compaction has removed.
        let was_removed = newer.is_some_and(|newer| newer.segment.origin.is_compacted());
        let watermark = (!was_removed).then_some(synced);
        let missing: Vec<_> = hints
            .filter(is_missing)
            .chain(watermark)
            .filter(|n| *n > oldest && !listing.segments.contains(n))
            .map(|n| (n, None))
            .collect();
        let found = found.into_iter();
        let found = found.map(|found| (found.segment.generation, Some(found)));
        found.chain(missing).collect()
    }

    fn finish(mut self) -> Survey {
        let newest = &self.survey.newest;
        let values = newest.values().filter(|newest| newest.location.is_some());
        self.survey.report.keys = values.count();
        self.survey.report.lost = self.losses.compare(newest);
        self.survey.sequence = self.continuity.sequence();
        self.survey
    }

    /// Notes that a segment of the log does not exist.
    fn note_missing(&mut self, generation: Generation) {
        let file = self.dir.path_of(&names::segment(generation));
        self.note_damage(file, 0..0, Fault::Missing);
        self.note_gone(generation, 0..u64::MAX, Vec::new);
        self.continuity.note_damage();
    }

    /// Reads one segment. Calls `progress` with the offset of each record.
    fn read(&mut self, mut found: Found, progress: &mut dyn FnMut(u64)) -> Result<()> {
        // The records can be read with the right salt and the offset of the first one.
        if found.origin.is_none() {
            salvage::guess_header(&mut found.segment, self.losses.salt())?;
        }
        let Found {
            segment,
            len,
            origin,
            error,
        } = found;
        let segment = Arc::new(segment);
        let generation = segment.generation;
        self.check_header(&segment, origin, error);
        let has_damaged_header = self.survey.damaged.contains(&generation);

        let mut scanner = Scanner::new(Arc::clone(&segment), len);
        self.read_records(&mut scanner, len, progress);
        self.continuity.end(scanner.sequence());
        self.check_digest(&segment, scanner.digest());
        // The header of a compacted segment has its length, so its end cannot be missing unnoticed.
        if !segment.origin.is_compacted() {
            self.check_len(&segment, len);
        } else if has_damaged_header {
            // The file may be shorter than its header says.
            self.note_gone(generation, len..u64::MAX, Vec::new);
        }

        self.before = Some(Before { generation, len });
        self.survey.report.segments += 1;
        self.survey.segments.insert(generation, segment);
        Ok(())
    }

    /// Checks that the header of a segment is sound and follows the segment before. `error` is that
    /// of reading it.
    fn check_header(&mut self, segment: &Segment, origin: Option<Origin>, error: Option<KvsError>) {
        match error {
            None => {
                if let Err(fault) = self.continuity.check_salt(segment.salt) {
                    self.mark_damaged(segment, 0..0, fault);
                }
            }
            Some(KvsError::Damaged { offset, reason, .. }) => {
                self.mark_damaged(segment, offset..offset, reason);
            }
            Some(error) => self.mark_damaged(segment, 0..0, error),
        }
        if let Err(hole) = self.continuity.begin(origin) {
            self.note_damage(segment.path().to_owned(), 0..0, hole);
            // The missing writes may be those at the end of the segment before.
            match self.before {
                Some(before) => self.note_gone(before.generation, before.len..u64::MAX, Vec::new),
                None => self.note_unknown(),
            }
        }
    }

    /// Reads the records of a segment that is `end` bytes long. Continues after each damaged part.
    fn read_records(&mut self, scanner: &mut Scanner, end: u64, progress: &mut dyn FnMut(u64)) {
        let segment = Arc::clone(scanner.segment());
        loop {
            let offset = scanner.offset();
            progress(offset);
            // Only the records before the watermark can tell whether it belongs to this log.
            self.last_run
                .check_digest(&segment, offset, scanner.digest());
            match scanner.next_of_any_number() {
                Ok(None) => break,
                Ok(Some(scanned)) => self.note_record(&segment, &scanned),
                Err(error) => match self.note_bad_place(&segment, offset..end, error) {
                    Some(next) => scanner.skip_to(next),
                    None => break,
                },
            }
        }
    }

    /// Notes a sound record, which may be in the wrong place.
    fn note_record(&mut self, segment: &Segment, scanned: &Scanned<'_>) {
        let Scanned {
            location, record, ..
        } = scanned;
        let at = location.offset..location.offset;
        // A record counts even in the wrong place: its number alone decides whether it is the
        // newest one of its key.
        if let Err(fault) = self.continuity.check_record(record.sequence) {
            self.note_damage(segment.path().to_owned(), at, fault);
            if let Fault::Hole { .. } = fault {
                // No hints help: they have the records of this segment, not the missing ones.
                self.note_unknown();
            }
        }
        self.survey.report.records += 1;
        let found = Newest {
            sequence: record.sequence,
            location: record.value.map(|_| *location),
        };
        match self.survey.newest.get_mut(record.key) {
            // In a damaged log, the last record of a key may not be the newest one.
            Some(newest) if newest.sequence >= found.sequence => {}
            Some(newest) => *newest = found,
            None => {
                self.survey.newest.insert(record.key.to_owned(), found);
            }
        }
    }

    /// Notes that no sound record begins at the start of `rest`, which is the rest of the segment.
    /// Returns the offset at which to continue, unless opening the store drops the rest.
    fn note_bad_place(
        &mut self,
        segment: &Arc<Segment>,
        rest: Range<u64>,
        error: KvsError,
    ) -> Option<u64> {
        let written = self.written_end(segment, &rest);
        if written == rest.start {
            return None;
        }
        let next = salvage::find_readable_record(segment, rest.start + 1, rest.end);
        if self.is_torn(segment, rest.start, next.is_some()) {
            self.survey.report.torn = Some(Torn {
                file: segment.path().to_owned(),
                offset: rest.start,
                len: written - rest.start,
                records: count_records(segment, next, rest.end),
            });
            // Nothing of a write that was cut short can be saved. Sound records after a hole can.
            if next.is_none() || self.torn_tail == TornTail::Drop {
                return None;
            }
        }
        let gap = rest.start..next.unwrap_or(written);
        let reason = match error {
            KvsError::Damaged { reason, .. } => reason,
            error => error.to_string(),
        };
        self.mark_damaged(segment, gap.clone(), reason);
        // If the file ends in the gap, some of its records may be missing.
        let gone = gap.start..next.unwrap_or(u64::MAX);
        self.note_gone(segment.generation, gone, || guess_keys(segment, &gap));
        self.continuity.note_damage();
        Some(gap.end)
    }

    /// Returns the end of what was written to the segment, of which `rest` is the rest.
    fn written_end(&self, segment: &Segment, rest: &Range<u64>) -> u64 {
        if !self.may_be_torn(segment) {
            return rest.end;
        }
        let written = sound::written_end(segment, rest.start, rest.end, &self.last_run);
        written.unwrap_or(rest.end)
    }

    /// Returns whether a crash may have left another end of the segment than the last record.
    fn may_be_torn(&self, segment: &Segment) -> bool {
        self.newest == Some(segment.generation) && self.continuity.is_in_written_segment()
    }

    /// Returns whether a crash explains that no sound record begins at `offset`.
    fn is_torn(&self, segment: &Segment, offset: u64, is_followed: bool) -> bool {
        self.may_be_torn(segment)
            && Tail::at(segment, offset, is_followed, &self.last_run) == Tail::Torn
    }

    /// Checks that the records have the digest that a header proves. Damage explains a difference.
    fn check_digest(&mut self, segment: &Segment, digest: Digest) {
        let generation = segment.generation;
        if self.survey.damaged.contains(&generation) {
            return;
        }
        if let Err(fault) = sound::check_proof(self.losses.proof(generation), digest) {
            self.mark_damaged(segment, 0..0, fault);
            self.note_gone(generation, 0..u64::MAX, Vec::new);
        }
    }

    /// Checks that the newest segment has all bytes that were synced.
    fn check_len(&mut self, segment: &Segment, len: u64) {
        let synced = self.last_run.synced(segment);
        if self.newest == Some(segment.generation) && len < synced {
            // Unlike sealed segments, the newest one has no hints that tell which keys are lost.
            let fault = Fault::Shortened { len: synced - len };
            self.note_damage(segment.path().to_owned(), len..len, fault);
            self.note_unknown();
        }
    }

    /// Notes damage in the bytes `at` of a segment, of which a repair keeps a copy.
    fn mark_damaged(&mut self, segment: &Segment, at: Range<u64>, reason: impl ToString) {
        self.note_damage(segment.path().to_owned(), at, reason);
        self.survey.damaged.insert(segment.generation);
    }

    /// Notes damage that may be in another file: the bytes `at` of this one need not be wrong.
    fn note_damage(&mut self, file: PathBuf, at: Range<u64>, reason: impl ToString) {
        self.survey.report.damage.push(Damage {
            file,
            offset: at.start,
            len: at.end - at.start,
            reason: reason.to_string(),
        });
    }

    /// Notes the contents of a part of a segment that the last damage takes away. If no hints tell
    /// of them, they are unknown, except for a guess of the keys.
    fn note_gone(
        &mut self,
        generation: Generation,
        part: Range<u64>,
        guess: impl FnOnce() -> Vec<String>,
    ) {
        let damage = self.last_damage();
        self.losses.note(damage, generation, part, guess);
    }

    /// Notes that the records that the last damage takes away are unknown.
    fn note_unknown(&mut self) {
        self.losses.note_unknown(self.last_damage(), Vec::new());
    }

    fn last_damage(&self) -> usize {
        self.survey.report.damage.len() - 1
    }
}

/// Returns whether a compacted segment among `found` replaces the segment `generation`, which has
/// these hints.
fn is_replaced(generation: Generation, hints: &Hints, found: &[Found]) -> bool {
    let last = hints.header.sequence;
    found.iter().any(|found| match found.origin {
        Some(Origin::Compacted { after, upto }) => {
            generation < found.segment.generation && after < last && last <= upto
        }
        _ => false,
    })
}

/// Returns the number of sound records from `start` on.
fn count_records(segment: &Arc<Segment>, start: Option<u64>, end: u64) -> u64 {
    let mut scanner = Scanner::new(Arc::clone(segment), end);
    let mut next = start;
    let mut records = 0;
    while let Some(start) = next {
        scanner.skip_to(start);
        while let Ok(Some(_)) = scanner.next_of_any_number() {
            records += 1;
        }
        next = salvage::find_readable_record(segment, scanner.offset() + 1, end);
    }
    records
}
