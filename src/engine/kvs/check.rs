//! Looking a log over from end to end, and saving what is sound in a damaged one.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

use super::hints;
use super::index::{Index, Location};
use super::record::{self, Record};
use super::segment::{self, Generation, HEADER_LEN, Listing, Origin, Segment};
use super::unsynced::LastRun;
use crate::engine::files::Directory;
use crate::error::{KvsError, Result};

/// What is in a log, and what is wrong with it. It prints as lines for people.
#[derive(Debug, Default)]
pub struct Report {
    /// The number of files that hold records.
    pub segments: usize,
    /// The number of sound records.
    pub records: u64,
    /// The number of keys that have a value.
    pub keys: usize,
    /// The length of all segments, in bytes.
    pub bytes: u64,
    /// What is not as it was written.
    pub damage: Vec<Damage>,
    /// What the damage takes away, as far as that can be told.
    pub lost: Vec<Lost>,
    /// The files beside the log in which [`repair`] has kept the damaged ones.
    pub kept: Vec<PathBuf>,
}

/// A place in a file where something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Damage {
    /// The damaged file.
    pub file: PathBuf,
    /// Where it begins, in bytes from the start of the file.
    pub offset: u64,
    /// The number of bytes that are of no use.
    pub len: u64,
    /// What is wrong.
    pub reason: String,
}

/// Something that was written once and cannot be read any more.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// Whether all is as it was written.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        self.damage.is_empty()
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
        for damage in &self.damage {
            writeln!(f, "{damage}")?;
        }
        for lost in &self.lost {
            match lost {
                Lost::Value { key, older_is_back } => {
                    let now = match older_is_back {
                        true => "an older value is in its place",
                        false => "the key is gone",
                    };
                    writeln!(f, "the last value of key {key:?} is lost: {now}")?;
                }
                Lost::Removal { key } => {
                    writeln!(f, "that key {key:?} was removed is lost: it is there again")?;
                }
                Lost::Unknown { damage, keys } => {
                    let Damage { file, offset, .. } = &self.damage[*damage];
                    write!(
                        f,
                        "lost with what was in {file:?} at byte {offset}: keys that cannot be told"
                    )?;
                    match keys.is_empty() {
                        true => writeln!(f)?,
                        false => writeln!(f, " for sure, they read {keys:?} now")?,
                    }
                }
            }
        }
        for kept in &self.kept {
            writeln!(f, "the damaged file is kept as {kept:?}")?;
        }
        let Report {
            segments,
            records,
            keys,
            bytes,
            ..
        } = self;
        write!(
            f,
            "segments: {segments}, bytes: {bytes}, sound records: {records}, keys: {keys}"
        )
    }
}

/// Hears how far the work has come: bytes done, and bytes in all.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Reads every byte of the log in `dir` and changes nothing. What a crash may leave, and opening
/// the store would clear away, is no damage.
///
/// # Errors
///
/// What the disk reports of a file as a whole; of a part that cannot be read, the report tells.
/// [`KvsError::UnknownVersion`] where the log is not of this version.
pub fn verify(dir: &dyn Directory, progress: Progress<'_>) -> Result<Report> {
    Survey::of(dir, progress).map(|survey| survey.report)
}

/// Makes a damaged log one that can be opened, with every record that is sound: all that is alive
/// is copied to a new segment, in the place of the ones before, and the damaged files are kept
/// under another name. A sound log stays as it is. A crash leaves the old log or the new one.
///
/// # Errors
///
/// Those of [`verify`], and what the disk reports of the writing.
pub fn repair(dir: &dyn Directory, progress: Progress<'_>) -> Result<Report> {
    let mut survey = Survey::of(dir, progress)?;
    if !survey.report.is_sound() {
        survey.keep_damaged_files(dir)?;
        survey.write_anew(dir)?;
    }
    Ok(survey.report)
}

/// A log as it is, damage included.
#[derive(Debug, Default)]
struct Survey {
    report: Report,
    /// The newest sound record of each key.
    index: Index,
    /// Everything that stood in a damaged place, as far as that can be told.
    gone: Vec<Gone>,
    /// The number of the last write.
    sequence: u64,
    /// Whether damage just before explains that writes are missing.
    is_behind_gap: bool,
    /// The generation of the newest segment.
    newest: Generation,
    last_run: LastRun,
}

/// A record that stood in a damaged place.
#[derive(Debug)]
struct Gone {
    key: String,
    at: Location,
    had_value: bool,
}

impl Survey {
    fn of(dir: &dyn Directory, progress: Progress<'_>) -> Result<Survey> {
        let generations = Listing::of(dir)?.segments;
        let mut survey = Survey {
            newest: generations.last().copied().unwrap_or(0),
            last_run: LastRun::of(dir),
            ..Survey::default()
        };
        let mut segments = Vec::new();
        for generation in generations.into_iter().rev() {
            let mut segment = Segment::open_unread(dir, generation)?;
            let header = segment.read_header();
            survey.report.bytes += segment.len()?;
            let is_compacted = matches!(segment.origin, Origin::Compacted { .. });
            segments.push((Arc::new(segment), header));
            if is_compacted {
                break;
            }
        }
        let mut done = 0;
        for (segment, header) in segments.into_iter().rev() {
            let is_whole = survey.look_at_header(&segment, header)?;
            survey.look_at_records(dir, &segment, is_whole)?;
            survey.report.segments += 1;
            done += segment.len()?;
            progress(done, survey.report.bytes);
        }
        let synced = survey.last_run.watermark.generation;
        if synced > survey.newest {
            let file = dir.path().join(segment::name(synced));
            survey.damage(file, 0..0, "the file is missing");
            survey.newest = synced;
        }
        survey.report.keys = survey.index.locations().count();
        survey.tell_what_is_lost();
        Ok(survey)
    }

    fn damage(&mut self, file: PathBuf, at: Range<u64>, reason: impl ToString) {
        self.report.damage.push(Damage {
            file,
            offset: at.start,
            len: at.end - at.start,
            reason: reason.to_string(),
        });
    }

    /// Says whether the header can be relied on.
    fn look_at_header(&mut self, segment: &Segment, header: Result<()>) -> Result<bool> {
        let file = || segment.path.clone();
        match header {
            Ok(()) => {
                if let Origin::Written { after } = segment.origin
                    && after > self.sequence
                {
                    if !self.is_behind_gap {
                        let missing = missing(self.sequence, after);
                        self.damage(file(), 0..0, missing);
                    }
                    self.sequence = after;
                }
                return Ok(true);
            }
            Err(KvsError::Damaged { offset, reason, .. }) => {
                self.damage(file(), offset..offset, reason);
            }
            Err(error @ KvsError::UnknownVersion { .. }) => return Err(error),
            Err(error) => self.damage(file(), 0..0, error),
        }
        Ok(false)
    }

    fn look_at_records(
        &mut self,
        dir: &dyn Directory,
        segment: &Arc<Segment>,
        has_header: bool,
    ) -> Result<()> {
        let unreadable = |start, error| self.damage(segment.path.clone(), start..start, error);
        let bytes = read(segment, unreadable)?;
        let end = bytes.len() as u64;
        let (mut last, upto) = match segment.origin {
            Origin::Compacted { upto } => (0, upto),
            Origin::Written { .. } if has_header => (self.sequence, self.sequence + end),
            Origin::Written { .. } => (self.sequence, u64::MAX),
        };
        self.index.add_segment(Arc::clone(segment));
        let synced = self.last_run.synced(segment.generation);
        let is_consecutive = has_header && matches!(segment.origin, Origin::Written { .. });
        let mut offset = HEADER_LEN;
        while offset < end {
            let rest = &bytes[offset as usize..];
            let reason = match Record::decode(rest) {
                Ok(record) if record.sequence > last => {
                    if is_consecutive && !self.is_behind_gap && record.sequence > last + 1 {
                        let missing = missing(last, record.sequence - 1);
                        self.damage(segment.path.clone(), offset..offset, missing);
                    }
                    self.is_behind_gap = false;
                    last = record.sequence;
                    let location = Location {
                        offset,
                        generation: segment.generation,
                        len: record.header().record_len() as u32,
                    };
                    self.index.put(record.key, record.value.map(|_| location));
                    self.report.records += 1;
                    offset += u64::from(location.len);
                    continue;
                }
                Ok(_) => "the record belongs in another place",
                Err(reason) => reason,
            };
            let next = record::find(rest, last + 1..=upto);
            // Opening the store is less strict: it takes whatever no record follows for a write
            // that was cut short, even where all of it was on the disk once.
            if segment.generation == self.newest
                && offset >= synced
                && (self.last_run).may_have_torn(segment.generation, offset, next.is_some())
            {
                break;
            }
            let gap = offset..next.map_or(end, |next| offset + next as u64);
            self.damage(segment.path.clone(), gap.clone(), reason);
            self.look_into_gap(dir, segment, &bytes, gap.clone());
            offset = gap.end;
            self.is_behind_gap = true;
        }
        if segment.generation == self.newest && end < synced {
            let reason = format!("{} bytes are missing at its end", synced - end);
            self.damage(segment.path.clone(), end..end, reason);
        }
        self.sequence = match segment.origin {
            Origin::Written { .. } => last,
            Origin::Compacted { upto } => upto,
        };
        Ok(())
    }

    /// Finds out which records stood in a gap: from the hints, else from what is there now.
    fn look_into_gap(
        &mut self,
        dir: &dyn Directory,
        segment: &Segment,
        bytes: &[u8],
        gap: Range<u64>,
    ) {
        let mut gone = Vec::new();
        let hints = hints::read(dir, segment, bytes.len() as u64, |key, at, had_value| {
            if gap.contains(&at.offset) {
                let key = key.to_owned();
                gone.push(Gone { key, at, had_value });
            }
        });
        if hints.is_some() {
            self.gone.append(&mut gone);
        } else {
            self.report.lost.push(Lost::Unknown {
                damage: self.report.damage.len() - 1,
                keys: guess(&bytes[gap.start as usize..gap.end as usize]),
            });
        }
    }

    /// Compares what is gone with what is there.
    fn tell_what_is_lost(&mut self) {
        // Only the last of several lost records of a key would be there now.
        let mut newest = BTreeMap::new();
        for gone in self.gone.drain(..) {
            newest.insert(gone.key.clone(), gone);
        }
        for (key, Gone { at, had_value, .. }) in newest {
            let there = self.index.get(&key);
            let is_newer =
                |there: Location| (there.generation, there.offset) > (at.generation, at.offset);
            let lost = match (there, had_value) {
                (Some(there), _) if is_newer(there) => continue,
                (None, false) => continue,
                (Some(_), false) => Lost::Removal { key },
                (there, true) => Lost::Value {
                    key,
                    older_is_back: there.is_some(),
                },
            };
            self.report.lost.push(lost);
        }
    }

    /// Copies every damaged file, under a name that is free.
    fn keep_damaged_files(&mut self, dir: &dyn Directory) -> Result<()> {
        let taken = dir.list();
        let taken = taken.map_err(KvsError::io(format_args!("list {:?}", dir.path())))?;
        for segment in self.index.segments() {
            if !(self.report.damage.iter()).any(|damage| damage.file == segment.path) {
                continue;
            }
            let name = segment::name(segment.generation);
            let names = (1..).map(|n| format!("{name}.damaged{n}"));
            let Some(name) = names.into_iter().find(|name| !taken.contains(name)) else {
                continue;
            };
            let path = dir.path().join(&name);
            let bytes = read(segment, |_, _| {})?;
            let copy = dir.create(&name).and_then(|copy| {
                copy.write_all_at(&bytes, 0)?;
                copy.sync()
            });
            copy.map_err(KvsError::io(format_args!("write {path:?}")))?;
            self.report.kept.push(path);
        }
        Ok(())
    }

    /// Puts everything that is alive into one new segment, in the place of all others.
    fn write_anew(&mut self, dir: &dyn Directory) -> Result<()> {
        let upto = self.sequence;
        let output = Segment::create(dir, self.newest + 1, Origin::Compacted { upto })?;
        let mut alive: Vec<_> = self.index.locations().collect();
        alive.sort_unstable_by_key(|at| (at.generation, at.offset));
        let mut len = HEADER_LEN;
        for at in alive {
            let segment = self.index.segment(at.generation);
            let bytes = segment.read(at.offset, at.len as usize)?;
            segment.decode(&bytes, at.offset)?;
            output.write(&bytes, len)?;
            len += bytes.len() as u64;
        }
        output.complete(len)?;
        output.publish(dir)?;
        segment::sync_names(dir)
    }
}

/// All bytes of a segment, with zeros for those that cannot be read.
fn read(segment: &Segment, mut unreadable: impl FnMut(u64, KvsError)) -> Result<Vec<u8>> {
    const BLOCK: u64 = 4096;
    let end = segment.len()?;
    if let Ok(bytes) = segment.read(0, end as usize) {
        return Ok(bytes);
    }
    let mut bytes = Vec::new();
    for start in (0..end).step_by(BLOCK as usize) {
        let len = BLOCK.min(end - start) as usize;
        bytes.extend(segment.read(start, len).unwrap_or_else(|error| {
            unreadable(start, error);
            vec![0; len]
        }));
    }
    Ok(bytes)
}

fn missing(last: u64, next: u64) -> String {
    format!("writes {} to {next} before it are missing", last + 1)
}

/// The keys of the records that `bytes` seem to be, where their headers lead right to the end.
fn guess(mut bytes: &[u8]) -> Vec<String> {
    let mut keys = Vec::new();
    while let Some(header) = bytes.first_chunk() {
        let Ok(header) = record::Header::decode(header) else {
            break;
        };
        let Some(record) = bytes.split_off(..header.record_len()) else {
            break;
        };
        let key = &record[record::HEADER_LEN..][..header.key_len];
        keys.push(String::from_utf8_lossy(key).into_owned());
    }
    if !bytes.is_empty() {
        keys.clear();
    }
    keys
}
