//! Looking a log over from end to end, and saving what is sound in a damaged one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, mem};

use serde::{Serialize, Serializer};

use super::hints::{self, Hints};
use super::index::Location;
use super::log::random_salt;
use super::record::{self, Digest, Record, Salt};
use super::segment::{self, Found, Generation, HEADER_LEN, Listing, Origin, Scanner, Segment};
use super::unsynced::{self, LastRun};
use crate::engine::files::Directory;
use crate::error::{KvsError, Result};

/// A report on the contents of a log and its damage. It prints as lines for people, and serializes
/// as the object that `docs/command-line.md` describes.
#[derive(Debug, Default, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The number of files that hold records.
    pub segments: usize,
    /// The number of sound records.
    pub records: u64,
    /// The number of keys that have a value.
    pub keys: usize,
    /// The length of all segments, in bytes.
    pub bytes: u64,
    /// What a crash has left at the end of the newest segment, and opening the store drops.
    pub torn: Option<Torn>,
    /// What is not as it was written.
    pub damage: Vec<Damage>,
    /// What the damage takes away, as far as that can be told.
    pub lost: Vec<Lost>,
    /// The files beside the log in which [`repair`] has kept the damaged ones.
    #[serde(serialize_with = "paths")]
    pub kept: Vec<PathBuf>,
}

/// A place in a file where something is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Damage {
    /// The damaged file.
    #[serde(serialize_with = "path")]
    pub file: PathBuf,
    /// Where it begins, in bytes from the start of the file.
    pub offset: u64,
    /// The number of bytes that are of no use.
    pub len: u64,
    /// What is wrong.
    pub reason: String,
}

/// The end of a log that has not come to the disk whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Torn {
    /// The newest segment.
    #[serde(serialize_with = "path")]
    pub file: PathBuf,
    /// Where it begins, in bytes from the start of the file.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
    /// How many sound records are in it. Where there are any, the machine stopped, and the system
    /// had written them before others.
    pub records: u64,
}

/// Something that was written once and cannot be read any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Lost {
    /// The newest value of a key.
    Value {
        /// The key.
        key: String,
        /// Whether an older value is there instead.
        older_is_back: bool,
    },
    /// That a key was removed: it is there again.
    Removal {
        /// The key.
        key: String,
    },
    /// Bytes of which nobody can say for sure which keys were in them.
    Unknown {
        /// Where they are, in the order of [`Report::damage`].
        damage: usize,
        /// The keys in them as they read now, where they still read as records.
        keys: Vec<String>,
    },
}

impl Report {
    /// Whether all is as it was written, but for what a crash may leave.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
    }

    /// Returns a display of the report with at most `lines` damaged places, `lines` losses and
    /// `lines` kept files. It only counts the others, and adds `hint` to their number.
    #[must_use]
    pub fn first<'a>(&'a self, lines: usize, hint: &'a str) -> impl fmt::Display + 'a {
        First {
            report: self,
            lines,
            hint,
        }
    }

    /// Whether [`repair`] saves what opening the store would not.
    fn is_worth_repair(&self) -> bool {
        !self.is_sound() || self.torn.as_ref().is_some_and(|torn| torn.records > 0)
    }
}

impl fmt::Display for Torn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Torn {
            file,
            offset,
            len,
            records,
        } = self;
        write!(
            f,
            "{file:?} ends at byte {offset} with writes that were cut short: opening the store drops {len} bytes, {records} sound records among them"
        )
    }
}

impl Lost {
    /// Describes the loss in one line, with at most `most` keys. `damage` has all damaged places.
    fn describe(&self, damage: &[Damage], most: usize) -> String {
        match self {
            Lost::Value { key, older_is_back } => {
                let now = if *older_is_back {
                    "an older value is in its place"
                } else {
                    "the key is gone"
                };
                format!("the last value of key {key:?} is lost: {now}")
            }
            Lost::Removal { key } => {
                format!("the removal of key {key:?} is lost: the key is there again")
            }
            Lost::Unknown { damage: n, keys } => {
                let Damage { file, offset, .. } = &damage[*n];
                let place = format!("{file:?} at byte {offset}");
                let lost = format!("lost in {place}: an unknown set of keys");
                let (shown, rest) = keys.split_at(most.min(keys.len()));
                match (shown, rest.len()) {
                    ([], _) => lost,
                    (_, 0) => format!("{lost}, which may include {shown:?}"),
                    (_, more) => {
                        format!("{lost}, which may include {shown:?} and {more} more")
                    }
                }
            }
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Damage {
            file,
            offset,
            len,
            reason,
        } = self;
        write!(f, "{file:?} is damaged at byte {offset}: {reason}")?;
        match len {
            0 => Ok(()),
            _ => write!(f, "; {len} bytes are of no use"),
        }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.first(usize::MAX, "").fmt(f)
    }
}

/// A [`Report`] that prints only the first lines of each kind.
struct First<'a> {
    report: &'a Report,
    lines: usize,
    hint: &'a str,
}

impl First<'_> {
    /// Prints the first lines and the number of the others.
    fn write<T>(
        &self,
        f: &mut fmt::Formatter<'_>,
        kind: &str,
        all: &[T],
        line: impl Fn(&T) -> String,
    ) -> fmt::Result {
        for item in all.iter().take(self.lines) {
            writeln!(f, "{}", line(item))?;
        }
        match all.len().saturating_sub(self.lines) {
            0 => Ok(()),
            more => writeln!(f, "and {more} more {kind}{}", self.hint),
        }
    }
}

impl fmt::Display for First<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Report {
            segments,
            records,
            keys,
            bytes,
            torn,
            damage,
            lost,
            kept,
        } = self.report;
        if let Some(torn) = torn {
            writeln!(f, "{torn}")?;
        }
        self.write(f, "damaged places", damage, Damage::to_string)?;
        self.write(f, "losses", lost, |lost| lost.describe(damage, self.lines))?;
        self.write(f, "kept files", kept, |kept| {
            format!("the damaged file is kept as {kept:?}")
        })?;
        if !damage.is_empty() {
            writeln!(
                f,
                "damaged places: {}, losses: {}",
                damage.len(),
                lost.len()
            )?;
        }
        write!(
            f,
            "segments: {segments}, bytes: {bytes}, sound records: {records}, keys: {keys}"
        )
    }
}

/// Serializes a path as text. Replaces bytes that are not UTF-8, because JSON strings cannot have
/// them.
fn path<S: Serializer>(path: &Path, to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_str(&path.display())
}

fn paths<S: Serializer>(paths: &[PathBuf], to: S) -> std::result::Result<S::Ok, S::Error> {
    to.collect_seq(paths.iter().map(|path| path.to_string_lossy()))
}

/// Hears how far the work has come: bytes done, and bytes in all.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Reads every byte of the log in `dir` and changes nothing. What a crash may leave, and opening
/// the store would clear away, is no damage.
///
/// # Errors
///
/// What the disk reports of a file as a whole; of a part that cannot be read, the report tells.
/// [`KvsError::UnknownVersion`] if the log is not of this version. [`KvsError::Changed`] if a store
/// has written to the log meanwhile, because that looks like damage.
pub fn verify(dir: &dyn Directory, progress: Progress<'_>) -> Result<Report> {
    let before = lengths(dir)?;
    let survey = Survey::of(dir, progress, false);
    // If a segment cannot be opened any more, a compaction has removed it.
    if lengths(dir).ok().as_ref() != Some(&before) {
        return Err(KvsError::Changed {
            dir: dir.path().to_owned(),
        });
    }
    survey.map(|survey| survey.report)
}

/// Returns the segments and their lengths. A store that writes changes one or the other.
fn lengths(dir: &dyn Directory) -> Result<Vec<(Generation, u64)>> {
    let segments = Listing::of(dir)?.segments.into_iter();
    segments
        .map(|generation| {
            let segment = Segment::open_unread(dir, generation)?;
            Ok((generation, segment.len()?))
        })
        .collect()
}

/// Makes a damaged log one that can be opened, with every record that is sound: all that is alive
/// is copied to a new segment, in the place of the ones before, and the damaged files are kept
/// under another name. A log of which opening loses nothing stays as it is. A crash leaves the old
/// log or the new one.
///
/// # Errors
///
/// Those of [`verify`], and what the disk reports of the writing.
pub fn repair(dir: &dyn Directory, progress: Progress<'_>) -> Result<Report> {
    let mut survey = Survey::of(dir, progress, true)?;
    if !survey.report.is_sound() && survey.has_older {
        // Those that a damaged compacted segment replaces may still have what it has lost.
        survey = Survey::of_all(dir, progress, true)?;
    }
    if survey.report.is_worth_repair() {
        survey.keep_damaged_files(dir)?;
        survey.write_anew(dir)?;
    }
    Ok(survey.report)
}

/// A log as it is, damage included.
#[derive(Debug, Default)]
struct Survey {
    report: Report,
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
    has_older: bool,
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
    fn of(dir: &dyn Directory, progress: Progress<'_>, saves_torn: bool) -> Result<Survey> {
        Survey::since(dir, progress, saves_torn, |segment| {
            matches!(segment.origin, Origin::Compacted { .. })
        })
    }

    /// Looks at all the segments that are there.
    fn of_all(dir: &dyn Directory, progress: Progress<'_>, saves_torn: bool) -> Result<Survey> {
        Survey::since(dir, progress, saves_torn, |_| false)
    }

    fn since(
        dir: &dyn Directory,
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
                segment.guess_header(survey.log_salt)?;
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
    fn hints(&self, dir: &dyn Directory, generation: Generation) -> Option<Hints> {
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
    fn note_missing(&mut self, dir: &dyn Directory, missing: &BTreeSet<Generation>) {
        for generation in missing {
            let file = dir.path().join(segment::name(*generation));
            self.damage(file, 0..0, segment::MISSING);
            self.note_gone(dir, *generation, 0..u64::MAX, Vec::new);
            self.is_behind_gap = true;
        }
    }

    fn look_at_header(&mut self, dir: &dyn Directory, segment: &Segment, header: Result<()>) {
        let path = segment.path.clone();
        match header {
            Ok(()) => {
                if self.salt.is_some_and(|salt| salt != segment.salt) {
                    self.damage(path.clone(), 0..0, segment::FOREIGN);
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
    fn note_hole(&mut self, dir: &dyn Directory, file: PathBuf, offset: u64, upto: u64) {
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
        dir: &dyn Directory,
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
                Ok(Some(Found {
                    location, record, ..
                })) => {
                    if is_written && record.sequence != self.sequence + 1 && !self.is_behind_gap {
                        self.note_hole(dir, segment.path.clone(), offset, record.sequence - 1);
                    }
                    if let Some(upto) = compacted
                        && !(last + 1..=upto).contains(&record.sequence)
                    {
                        let reason = "the record belongs in another place";
                        self.damage(segment.path.clone(), offset..offset, reason);
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
            let next = segment.find_readable_record(offset + 1, end);
            if is_newest && is_written && offset >= self.last_run.synced(segment) {
                let may_lack_pages = self.last_run.may_lack_pages(segment, offset);
                if next.is_none() || may_lack_pages {
                    self.report.torn = Some(Torn {
                        file: segment.path.clone(),
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
            self.damage(segment.path.clone(), gap.clone(), reason);
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
            self.damage(segment.path.clone(), 0..0, segment::REPLACED);
            self.damaged.insert(segment.generation);
            self.note_gone(dir, segment.generation, 0..u64::MAX, Vec::new);
        }
        let synced = self.last_run.synced(segment);
        if is_newest && compacted.is_none() && end < synced {
            let reason = format!("{} bytes are missing at its end", synced - end);
            self.damage(segment.path.clone(), end..end, reason);
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
        dir: &dyn Directory,
        generation: Generation,
        part: Range<u64>,
        guess: impl FnOnce() -> Vec<String>,
    ) {
        let hints = self.hints(dir, generation);
        let mut gone = Vec::new();
        let told = hints.and_then(|hints| {
            hints.read(|key, place, sequence, had_value| {
                if part.contains(&place.offset) {
                    let key = key.to_owned();
                    gone.push(Gone {
                        key,
                        sequence,
                        had_value,
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
    fn keep_damaged_files(&mut self, dir: &dyn Directory) -> Result<()> {
        for generation in &self.damaged {
            let segment = &self.segments[generation];
            let kept = segment.keep_aside(dir, 0, segment.len()?, "damaged")?;
            self.report.kept.push(kept);
        }
        Ok(())
    }

    /// Puts everything that is alive into one new segment, in the place of all others.
    fn write_anew(&mut self, dir: &dyn Directory) -> Result<()> {
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
        let salt = salt.unwrap_or_else(random_salt);
        let output = Segment::create(dir, newest + 1, origin, salt)?;
        if let Some(replaced) = self.segments.keys().next_back() {
            output.copy_access(dir, *replaced)?;
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
        segment::remove(dir, &hints::name(newest + 1))?;
        segment::sync_names(dir)?;
        output.publish(dir)?;
        segment::sync_names(dir)?;
        // It tells of what is gone now.
        segment::remove(dir, unsynced::NAME)?;
        segment::sync_names(dir)
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
        next = segment.find_readable_record(behind, end);
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
