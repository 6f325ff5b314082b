//! The report of a check, and its progress.

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Serialize, Serializer};

/// A callback for the progress of a check: the bytes that are done, and all bytes.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

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
    /// The incomplete writes of a crash at the end of the newest segment. Opening the store drops
    /// them.
    pub torn: Option<Torn>,
    /// The damaged places.
    pub damage: Vec<Damage>,
    /// The losses that the damage causes, as far as they are known.
    pub lost: Vec<Lost>,
    /// The copies of the damaged files, which [`repair`](super::repair) has made beside the log.
    #[serde(serialize_with = "paths")]
    pub kept: Vec<PathBuf>,
}

/// A damaged place in a file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Damage {
    /// The damaged file.
    #[serde(serialize_with = "path")]
    pub file: PathBuf,
    /// The start of the place, in bytes from the start of the file.
    pub offset: u64,
    /// The number of bytes that cannot be used.
    pub len: u64,
    /// The kind of damage, in words.
    pub reason: String,
}

/// The end of a log that was not completely on the disk when a crash came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Torn {
    /// The newest segment.
    #[serde(serialize_with = "path")]
    pub file: PathBuf,
    /// The start of this end, in bytes from the start of the file.
    pub offset: u64,
    /// Its length in bytes.
    pub len: u64,
    /// The number of sound records in it. If there are any, the machine has stopped, and the system
    /// had written these records before earlier ones.
    pub records: u64,
}

/// A loss: a record that was written once and cannot be read any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Lost {
    /// The newest value of a key.
    Value {
        /// The key.
        key: String,
        /// Whether the key has an older value now. Otherwise it has none.
        older_is_back: bool,
    },
    /// The removal of a key, which has a value again.
    Removal {
        /// The key.
        key: String,
    },
    /// The records in a damaged place. It is not known for certain which keys they had.
    Unknown {
        /// The index of the place in [`Report::damage`].
        damage: usize,
        /// The keys of the damaged bytes, if these still look like records.
        keys: Vec<String>,
    },
}

impl Report {
    /// Returns whether there is no damage. The incomplete writes of a crash are none.
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

    /// Returns whether [`repair`](super::repair) saves records that opening the store would drop.
    pub(super) fn is_worth_repair(&self) -> bool {
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
            "{file:?} ends at byte {offset} with writes that were cut short: opening the store drops \
             {len} bytes, {records} sound records among them"
        )
    }
}

impl Lost {
    /// Describes the loss in one line, with at most `most` keys. `damage` is that of the report.
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
                // A long list of guesses would hide the losses that are certain.
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
            // A missing file, a damaged header or a fault in the order of writes has no length.
            0 => Ok(()),
            _ => write!(f, "; {len} bytes cannot be used"),
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
