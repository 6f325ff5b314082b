//! Looking at a log as it is, damage included.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::mem;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::Progress;
use super::report::{Damage, Lost, Report, Torn};
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::hints::Hints;
use crate::engine::kvs::format::names::{self, Generation, Listing};
use crate::engine::kvs::format::record::Location;
use crate::engine::kvs::format::record::{self, Digest, Record, Salt};
use crate::engine::kvs::format::salvage;
use crate::engine::kvs::format::scanner::{Scanned, Scanner};
use crate::engine::kvs::format::segment::{HEADER_LEN, Origin, Segment};
use crate::engine::kvs::format::sound::Fault;
use crate::engine::kvs::format::watermark::LastRun;
use crate::error::{KvsError, Result};

/// A log as it is, damage included.
#[derive(Debug, Default)]
pub(super) struct Survey {
    pub(super) report: Report,
    /// The newest sound record of each key: its number and, if it is not a tombstone, its place.
    newest: HashMap<String, (u64, Option<Location>)>,
    /// Everything that stood in a damaged place and that hints tell of.
    gone: Vec<Gone>,
    segments: BTreeMap<Generation, Arc<Segment>>,
    damaged: BTreeSet<Generation>,
    /// The number of the last write.
    sequence: u64,
    /// What the segments before are salted with.
    salt: Option<Salt>,
    /// The generation and the length of the segment before.
    before: Option<(Generation, u64)>,
    /// Whether damage just before explains that writes are missing.
    is_behind_gap: bool,
    last_run: LastRun,
    /// The salt of the newest segment with a sound header, or that of the watermark if there is
    /// none.
    log_salt: Option<Salt>,
    /// The digests that the records of these segments must have.
    proofs: BTreeMap<Generation, Digest>,
    /// Whether there are segments that were not looked at.
    pub(super) has_older: bool,
    /// Whether to save the sound records in a torn end.
    saves_torn: bool,
}

/// A record that stood in a damaged place.
#[derive(Debug)]
struct Gone {
    key: String,
    sequence: u64,
    had_value: bool,
}

impl Survey {
    /// Looks at the log, from the newest compacted segment on.
    pub(super) fn of(dir: LogDir<'_>, progress: Progress<'_>, saves_torn: bool) -> Result<Survey> {
        Survey::since(dir, progress, saves_torn, |segment| {
            segment.origin.is_compacted()
        })
    }

    /// Looks at all the segments that are there.
    pub(super) fn of_all(
        dir: LogDir<'_>,
        progress: Progress<'_>,
        saves_torn: bool,
    ) -> Result<Survey> {
        Survey::since(dir, progress, saves_torn, |_| false)
    }

    fn since(
        dir: LogDir<'_>,
        progress: Progress<'_>,
        saves_torn: bool,
        is_first: impl Fn(&Segment) -> bool,
    ) -> Result<Survey> {
        let listing = Listing::of(dir)?;
        let mut survey = Survey {
            last_run: LastRun::of(dir),
            saves_torn,
            ..Survey::default()
        };
        let mut segments = Vec::new();
        for generation in listing.segments.iter().rev() {
            let mut segment = Segment::open_unread(dir, *generation)?;
            let header = segment.read_header();
            if let Err(error @ KvsError::UnknownVersion { .. }) = header {
                return Err(error);
            }
            survey.report.bytes += segment.len()?;
            // A header can be relied on although the file has not the length that it says.
            let has_header = match &header {
                Ok(()) => true,
                Err(KvsError::Damaged { offset, .. }) => *offset > 0,
                Err(_) => false,
            };
            if has_header && survey.log_salt.is_none() {
                survey.log_salt = Some(segment.salt);
                survey.last_run.check_salt(segment.salt);
            }
            let is_first = is_first(&segment);
            segments.push((segment, header, has_header));
            if is_first {
                break;
            }
        }
        survey.has_older = segments.len() < listing.segments.len();
        let newest = listing.segments.last().copied().unwrap_or(0);
        let oldest = segments
            .last()
            .map_or(0, |(segment, ..)| segment.generation);
        survey.log_salt = survey.log_salt.or(survey.last_run.salt);
        let mut missing: BTreeSet<_> = listing.hints.into_iter().collect();
        missing.retain(|generation| survey.hints(dir, *generation).is_some());
        missing.insert(survey.last_run.watermark.generation);
        missing.retain(|generation| *generation > oldest && !listing.segments.contains(generation));
        survey.note_proofs(&segments, &missing);

        let (mut done, all) = (0, survey.report.bytes);
        for (mut segment, header, has_header) in segments.into_iter().rev() {
            let later = missing.split_off(&segment.generation);
            survey.note_missing(dir, &mem::replace(&mut missing, later));
            if !has_header {
                salvage::guess_header(&mut segment, survey.log_salt)?;
            }
            let segment = Arc::new(segment);
            survey.look_at_header(dir, &segment, header);
            let is_newest = segment.generation == newest;
            survey.look_at_records(dir, &segment, has_header, is_newest, &mut |offset| {
                progress(done + offset, all);
            })?;
            done += segment.len()?;
            survey.report.segments += 1;
            survey.segments.insert(segment.generation, segment);
        }
        progress(all, all);
        survey.note_missing(dir, &missing);
        let places = survey.newest.values();
        survey.report.keys = places.filter(|(_, place)| place.is_some()).count();
        survey.tell_what_is_lost();
        Ok(survey)
    }

    /// Notes the digests that are in the headers. `missing` are the segments that are not there.
    fn note_proofs(
        &mut self,
        segments: &[(Segment, Result<()>, bool)],
        missing: &BTreeSet<Generation>,
    ) {
        let there = segments.iter().map(|(segment, ..)| segment.generation);
        let all: BTreeSet<_> = there.chain(missing.iter().copied()).collect();
        for (segment, ..) in segments {
            let told_of = match segment.origin {
                Origin::Compacted { .. } => Some(segment.generation),
                Origin::Written { .. } => all.range(..segment.generation).next_back().copied(),
            };
            if let (Some(generation), Some(digest)) = (told_of, segment.recorded) {
                self.proofs.insert(generation, digest);
            }
        }
    }

    /// Returns the hints of a segment, unless they are known to belong to another one.
    fn hints(&self, dir: LogDir<'_>, generation: Generation) -> Option<Hints> {
        let proof = self.proofs.get(&generation);
        Hints::open(dir, generation).filter(|hints| {
            let header = &hints.header;
            self.log_salt.is_none_or(|salt| salt == header.salt)
                && proof.is_none_or(|digest| *digest == header.digest)
        })
    }

    fn damage(&mut self, file: PathBuf, at: Range<u64>, reason: impl ToString) {
        self.report.damage.push(Damage {
            file,
            offset: at.start,
            len: at.end - at.start,
            reason: reason.to_string(),
        });
    }

    /// Notes that segments are missing, and from their hints what was in them.
    fn note_missing(&mut self, dir: LogDir<'_>, missing: &BTreeSet<Generation>) {
        for generation in missing {
            let file = dir.path().join(names::segment(*generation));
            self.damage(file, 0..0, Fault::Missing);
            self.note_gone(dir, *generation, 0..u64::MAX, Vec::new);
            self.is_behind_gap = true;
        }
    }

    fn look_at_header(&mut self, dir: LogDir<'_>, segment: &Segment, header: Result<()>) {
        let path = segment.path().to_owned();
        match header {
            Ok(()) => {
                if self.salt.is_some_and(|salt| salt != segment.salt) {
                    self.damage(path.clone(), 0..0, Fault::Foreign);
                    self.damaged.insert(segment.generation);
                }
                self.salt = Some(segment.salt);
                if let Origin::Written { after } = segment.origin
                    && after != self.sequence
                    && !self.is_behind_gap
                {
                    self.note_hole(dir, path, 0, after);
                }
            }
            Err(KvsError::Damaged { offset, reason, .. }) => {
                self.damage(path, offset..offset, reason);
                self.damaged.insert(segment.generation);
            }
            Err(error) => {
                self.damage(path, 0..0, error);
                self.damaged.insert(segment.generation);
            }
        }
        if let Origin::Written { after } = segment.origin {
            self.sequence = self.sequence.max(after);
        }
    }

    /// Notes that writes are missing although no bytes are damaged. At the start of a segment,
    /// those may be what the end of the one before has lost.
    fn note_hole(&mut self, dir: LogDir<'_>, file: PathBuf, offset: u64, upto: u64) {
        let after = self.sequence;
        let reason = format!("it goes on after write {upto}, and before it is write {after}");
        self.damage(file, offset..offset, reason);
        match self.before {
            Some((before, end)) if offset == 0 => {
                self.note_gone(dir, before, end..u64::MAX, Vec::new);
            }
            _ => self.note_unknown(Vec::new()),
        }
    }

    fn look_at_records(
        &mut self,
        dir: LogDir<'_>,
        segment: &Arc<Segment>,
        has_header: bool,
        is_newest: bool,
        progress: &mut dyn FnMut(u64),
    ) -> Result<()> {
        let end = segment.len()?;
        let is_cut = self.damaged.contains(&segment.generation);
        let compacted = match segment.origin {
            Origin::Compacted { upto } if has_header => Some(upto),
            _ => None,
        };
        let is_written = has_header && compacted.is_none();
        let mut scanner = Scanner::new(Arc::clone(segment), end);
        loop {
            let (offset, last) = (scanner.offset(), scanner.sequence());
            progress(offset);
            self.last_run
                .check_digest(segment, offset, scanner.digest());
            let reason = match scanner.next_of_any_number() {
                Ok(None) => break,
                Ok(Some(Scanned {
                    location, record, ..
                })) => {
                    if is_written && record.sequence != self.sequence + 1 && !self.is_behind_gap {
                        self.note_hole(dir, segment.path().to_owned(), offset, record.sequence - 1);
                    }
                    if let Some(upto) = compacted
                        && !(last + 1..=upto).contains(&record.sequence)
                    {
                        let reason = "the record belongs in another place";
                        self.damage(segment.path().to_owned(), offset..offset, reason);
                    }
                    let found = (record.sequence, record.value.map(|_| location));
                    let newest = self.newest.entry(record.key.to_owned()).or_insert(found);
                    if newest.0 < found.0 {
                        *newest = found;
                    }
                    self.report.records += 1;
                    self.sequence = self.sequence.max(record.sequence);
                    self.is_behind_gap = false;
                    continue;
                }
                Err(KvsError::Damaged { reason, .. }) => reason,
                Err(error) => error.to_string(),
            };
            let next = salvage::find_readable_record(&segment, offset + 1, end);
            if is_newest && is_written && offset >= self.last_run.synced(segment) {
                let may_lack_pages = self.last_run.may_lack_pages(segment, offset);
                if next.is_none() || may_lack_pages {
                    self.report.torn = Some(Torn {
                        file: segment.path().to_owned(),
                        offset,
                        len: end - offset,
                        records: count_records(segment, next, end),
                    });
                    if next.is_none() || !self.saves_torn {
                        break;
                    }
                }
            }
            let gap = offset..next.unwrap_or(end);
            self.damage(segment.path().to_owned(), gap.clone(), reason);
            self.damaged.insert(segment.generation);
            // Where the file ends in the gap, it may have gone on.
            let gone = gap.start..next.unwrap_or(u64::MAX);
            self.note_gone(dir, segment.generation, gone, || guess(segment, &gap));
            self.is_behind_gap = true;
            scanner.skip_to(gap.end);
        }
        let proof = self.proofs.get(&segment.generation);
        if !self.damaged.contains(&segment.generation)
            && proof.is_some_and(|proof| *proof != scanner.digest())
        {
            self.damage(segment.path().to_owned(), 0..0, Fault::Replaced);
            self.damaged.insert(segment.generation);
            self.note_gone(dir, segment.generation, 0..u64::MAX, Vec::new);
        }
        let synced = self.last_run.synced(segment);
        if is_newest && compacted.is_none() && end < synced {
            let reason = format!("{} bytes are missing at its end", synced - end);
            self.damage(segment.path().to_owned(), end..end, reason);
            self.note_unknown(Vec::new());
        }
        if let Some(upto) = compacted {
            if is_cut {
                self.note_gone(dir, segment.generation, end..u64::MAX, Vec::new);
            }
            self.sequence = self.sequence.max(upto);
        }
        self.before = Some((segment.generation, end));
        Ok(())
    }

    /// Notes what stood in a part of a segment: what its hints tell, else that nobody knows, but
    /// for a guess.
    fn note_gone(
        &mut self,
        dir: LogDir<'_>,
        generation: Generation,
        part: Range<u64>,
        guess: impl FnOnce() -> Vec<String>,
    ) {
        let hints = self.hints(dir, generation);
        let mut gone = Vec::new();
        let told = hints.and_then(|hints| {
            hints.read(|hint| {
                if part.contains(&hint.location.offset) {
                    gone.push(Gone {
                        key: hint.key.to_owned(),
                        sequence: hint.sequence,
                        had_value: hint.has_value,
                    });
                }
            })
        });
        match told {
            Some(()) => self.gone.append(&mut gone),
            None => self.note_unknown(guess()),
        }
    }

    /// Notes that nobody can tell what was lost with the last damage.
    fn note_unknown(&mut self, keys: Vec<String>) {
        let damage = self.report.damage.len() - 1;
        self.report.lost.push(Lost::Unknown { damage, keys });
    }

    /// Compares what is gone with what is there.
    fn tell_what_is_lost(&mut self) {
        // Only the last of several lost records of a key would be there now.
        self.gone.sort_by_key(|gone| gone.sequence);
        let gone: BTreeMap<_, _> = self
            .gone
            .drain(..)
            .map(|gone| (gone.key, (gone.sequence, gone.had_value)))
            .collect();
        for (key, (sequence, had_value)) in gone {
            let there = self.newest.get(&key);
            if there.is_some_and(|(there, _)| *there > sequence) {
                continue;
            }
            let older_is_back = there.is_some_and(|(_, place)| place.is_some());
            match had_value {
                true => self.report.lost.push(Lost::Value { key, older_is_back }),
                false if older_is_back => self.report.lost.push(Lost::Removal { key }),
                false => {}
            }
        }
    }

    /// The places of all values that are there, in the order in which they were written, with
    /// numbers that rise. They have those already, unless somebody has made files up.
    fn alive(&self) -> Vec<(u64, Location)> {
        let values = self.newest.values();
        let mut alive: Vec<_> = values
            .filter_map(|(sequence, place)| Some((*sequence, (*place)?)))
            .collect();
        alive.sort_unstable_by_key(|(sequence, place)| (*sequence, place.generation, place.offset));
        let mut last = 0;
        for (sequence, _) in &mut alive {
            *sequence = (*sequence).max(last + 1);
            last = *sequence;
        }
        alive
    }

    /// Copies every damaged file, under a name that is free.
    pub(super) fn keep_damaged_files(&mut self, dir: LogDir<'_>) -> Result<()> {
        for generation in &self.damaged {
            let segment = &self.segments[generation];
            let kept = salvage::quarantine(dir, segment, 0, segment.len()?, "damaged")?;
            self.report.kept.push(kept);
        }
        Ok(())
    }

    /// Puts everything that is alive into one new segment, in the place of all others.
    pub(super) fn write_anew(&mut self, dir: LogDir<'_>) -> Result<()> {
        const BLOCK: usize = 1024 * 1024;
        let segments = self.segments.values();
        let newest = segments
            .clone()
            .next_back()
            .map_or(0, |segment| segment.generation);
        let salt = segments.map(|segment| segment.salt).next();
        let alive = self.alive();
        let last = alive.last().map_or(0, |(sequence, _)| *sequence);
        let origin = Origin::Compacted {
            upto: self.sequence.max(last),
        };
        let salt = salt.unwrap_or_else(Salt::random);
        let output = Segment::create(dir, newest + 1, origin, salt)?;
        if let Some(replaced) = self.segments.keys().next_back() {
            dir.copy_access(&names::segment(*replaced), &names::segment(newest + 1))?;
        }
        let (mut bytes, mut len, mut digest) = (Vec::new(), HEADER_LEN, Digest::default());
        for (sequence, place) in alive {
            let segment = &self.segments[&place.generation];
            let record = segment.read(place.offset, place.len as usize)?;
            let record = segment.decode(&record, place.offset)?;
            let start = bytes.len();
            Record { sequence, ..record }.encode(salt, &mut bytes);
            digest.add(&bytes[start..]);
            if bytes.len() >= BLOCK {
                output.write(&bytes, len)?;
                len += bytes.len() as u64;
                bytes.clear();
            }
        }
        output.write(&bytes, len)?;
        output.complete(len + bytes.len() as u64, digest)?;
        output.sync()?;
        // There may be some of a segment that is gone.
        dir.remove(&names::hints(newest + 1))?;
        dir.sync()?;
        output.publish(dir)?;
        dir.sync()?;
        // It tells of what is gone now.
        dir.remove(names::WATERMARK)?;
        dir.sync()
    }
}

/// How many sound records there are from `start` on.
fn count_records(segment: &Arc<Segment>, start: Option<u64>, end: u64) -> u64 {
    let mut scanner = Scanner::new(Arc::clone(segment), end);
    let mut next = start;
    let mut records = 0;
    while let Some(start) = next {
        scanner.skip_to(start);
        while let Ok(Some(_)) = scanner.next_of_any_number() {
            records += 1;
        }
        let behind = scanner.offset() + 1;
        next = salvage::find_readable_record(&segment, behind, end);
    }
    records
}

/// The keys of the records that a damaged part of a segment seems to be, where what look like their
/// headers lead right to its end.
fn guess(segment: &Segment, part: &Range<u64>) -> Vec<String> {
    const MAX: u64 = 64 * 1024 * 1024;
    let len = part.end - part.start;
    let bytes = match len <= MAX {
        true => segment.read(part.start, len as usize).unwrap_or_default(),
        false => Vec::new(),
    };
    let mut rest = &bytes[..];
    let mut keys = Vec::new();
    while let Some(header) = rest.first_chunk() {
        let Ok(header) = record::Header::decode_fields(header) else {
            break;
        };
        let Some(record) = rest.split_off(..header.record_len()) else {
            break;
        };
        let key = &record[record::HEADER_LEN..][..header.key_len];
        keys.push(String::from_utf8_lossy(key).into_owned());
    }
    if !rest.is_empty() {
        keys.clear();
    }
    keys
}
