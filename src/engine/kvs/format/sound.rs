//! The rules that a sound log follows. Opening a store stops at the first fault; a check notes each
//! fault and continues.

use std::fmt;

use super::record::{Digest, Salt};
use super::segment::{Origin, Segment};
use super::watermark::LastRun;
use crate::error::KvsError;

/// A fault of a log whose files are readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The log needs a segment that does not exist.
    Missing,
    /// The salt of a segment differs from that of the segment before it.
    Foreign,
    /// The records of a segment do not have the digest that a header has for them.
    Replaced,
    /// The sequence number of a record is not allowed after that of the record before it.
    OutOfPlace,
    /// The writes between `last` and `after` are missing: a segment or a record comes after the
    /// write `after`, and the log before it ends with the write `last`.
    Hole { last: u64, after: u64 },
    /// The newest segment is shorter, by `len` bytes, than the watermark says.
    Shortened { len: u64 },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fault::Missing => f.write_str("the file is missing"),
            Fault::Foreign => f.write_str("it belongs to another store"),
            Fault::Replaced => f.write_str("its records are not the ones that the log had here"),
            Fault::OutOfPlace => f.write_str("the record belongs in another place"),
            Fault::Hole { last, after } => write!(
                f,
                "it continues after write {after}, but the log before it ends with write {last}"
            ),
            Fault::Shortened { len } => {
                write!(f, "{len} bytes that were synced are missing at its end")
            }
        }
    }
}

impl From<Fault> for String {
    fn from(fault: Fault) -> String {
        fault.to_string()
    }
}

/// Checks that the parts of a log, from the oldest segment to the newest one, follow each other.
///
/// For each segment, the caller calls [`check_salt`](Continuity::check_salt),
/// [`begin`](Continuity::begin) and [`end`](Continuity::end). A caller that continues after damage
/// also calls [`check_record`](Continuity::check_record) for each record. Without damage, the
/// [`Scanner`](super::scanner::Scanner) applies the same rule within a segment.
#[derive(Debug, Default)]
pub(crate) struct Continuity {
    salt: Option<Salt>,
    sequence: u64,
    /// The origin of the current segment, if its header is sound.
    origin: Option<Origin>,
    /// The sequence number of the last record of the current segment.
    last_record: u64,
    /// Whether the bytes just before are damaged, which explains that writes are missing.
    is_after_damage: bool,
}

impl Continuity {
    /// Begins after segments that are known to be sound. They have this salt and end with the write
    /// `sequence`.
    pub(crate) fn resume(salt: Salt, sequence: u64) -> Continuity {
        Continuity {
            salt: Some(salt),
            sequence,
            ..Continuity::default()
        }
    }

    /// Returns the salt of the segments, if there are any.
    pub(crate) fn salt(&self) -> Option<Salt> {
        self.salt
    }

    /// Returns the number of the last write so far.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Returns whether the current segment has a sound header and is not a compacted one.
    pub(crate) fn is_in_written_segment(&self) -> bool {
        matches!(self.origin, Some(Origin::Written { .. }))
    }

    /// Checks that the next segment belongs to the same store as the one before it.
    pub(crate) fn check_salt(&mut self, salt: Salt) -> Result<(), Fault> {
        // The check compares with the segment just before, so one foreign segment is two faults at
        // most, and a foreign half of the log is one.
        match self.salt.replace(salt) {
            Some(before) if before != salt => Err(Fault::Foreign),
            _ => Ok(()),
        }
    }

    /// Begins the next segment and checks that no write is missing before it. `origin` is `None` if
    /// its header is damaged; then nothing is known of the writes before it.
    pub(crate) fn begin(&mut self, origin: Option<Origin>) -> Result<(), Fault> {
        self.origin = origin;
        let after = origin.map_or(0, Origin::before_first);
        self.last_record = after;
        let last = self.sequence;
        // After a hole, the check continues with the numbers that follow it.
        self.sequence = last.max(after);
        let follows = match origin {
            Some(Origin::Written { .. }) => last == after,
            // A check may also read segments that this one replaces.
            Some(Origin::Compacted { .. }) => last >= after,
            None => true,
        };
        if follows || self.is_after_damage {
            return Ok(());
        }
        Err(Fault::Hole { last, after })
    }

    /// Checks that the sequence number of the next record of the segment follows.
    pub(crate) fn check_record(&mut self, sequence: u64) -> Result<(), Fault> {
        let last = self.sequence;
        let before = self.last_record;
        let is_after_damage = self.is_after_damage;
        self.sequence = last.max(sequence);
        self.last_record = sequence;
        self.is_after_damage = false;
        match self.origin {
            // The first record of a segment follows the last record of the segment before it.
            Some(origin @ Origin::Written { .. })
                if !is_after_damage && !origin.may_follow(last, sequence) =>
            {
                let after = sequence - 1;
                Err(Fault::Hole { last, after })
            }
            // The segment before may be one that this replaces, so only its own records count.
            Some(origin @ Origin::Compacted { .. }) if !origin.may_follow(before, sequence) => {
                Err(Fault::OutOfPlace)
            }
            _ => Ok(()),
        }
    }

    /// Ends the segment, whose last record has the number `last`.
    pub(crate) fn end(&mut self, last: u64) {
        // The last writes before a compaction may have left no record that is alive.
        let last = match self.origin {
            Some(Origin::Compacted { upto, .. }) => upto,
            _ => last,
        };
        self.sequence = self.sequence.max(last);
    }

    /// Notes damage. Writes that are missing right after it are a part of it.
    pub(crate) fn note_damage(&mut self) {
        self.is_after_damage = true;
    }
}

/// Returns the digest that the records of `segment` must have, if a header proves one. `next` is
/// the segment after it. Either is `None` if its file does not exist.
pub(crate) fn proof(segment: Option<&Segment>, next: Option<&Segment>) -> Option<Digest> {
    match segment {
        Some(segment) if segment.origin.is_compacted() => segment.recorded,
        // A compacted segment has its own digest in its header, not that of the one before.
        _ => next.filter(|next| !next.origin.is_compacted())?.recorded,
    }
}

/// Checks that the records of a segment, which have this digest, are the ones that a header proves.
pub(crate) fn check_proof(proof: Option<Digest>, digest: Digest) -> Result<(), Fault> {
    match proof {
        Some(proof) if proof != digest => Err(Fault::Replaced),
        _ => Ok(()),
    }
}

/// Returns the end of what was written to `segment`, the newest, from `offset` to its `end`:
/// without the zeros that a process has written ahead of its records, and has not cut off.
pub(crate) fn written_end(
    segment: &Segment,
    offset: u64,
    end: u64,
    last_run: &LastRun,
) -> Result<u64, KvsError> {
    let written = segment.end_of_bytes(offset, end)?;
    // After a restart of the machine, zeros may also be writes that have not reached the disk.
    let is_explained = last_run.same_boot && written >= last_run.synced(segment);
    Ok(if is_explained { written } else { end })
}

/// The meaning of a place in the newest segment at which no sound record begins. The segment is not
/// a compacted one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tail {
    /// A crash has left it: the last writes were cut short, or the system had not yet written all
    /// pages. Opening the store drops everything from here on.
    Torn,
    /// The rest was synced once, and no sound record follows. It looks like a torn tail, so opening
    /// the store drops it with a warning. A check, which knows no more, calls it damage.
    Lost,
    /// Sound records follow, and no crash explains that. The store does not open.
    Damaged,
}

impl Tail {
    /// Judges the place `offset` of `segment`. `is_followed` says whether there is a sound record
    /// behind it.
    pub(crate) fn at(
        segment: &Segment,
        offset: u64,
        is_followed: bool,
        last_run: &LastRun,
    ) -> Tail {
        // Without a restart of the machine, the pages reach readers in the order of the writes.
        if is_followed && !last_run.may_lack_pages(segment, offset) {
            Tail::Damaged
        } else if offset < last_run.synced(segment) {
            Tail::Lost
        } else {
            Tail::Torn
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_segment_follows_the_last_write_of_the_one_before() {
        let mut log = Continuity::default();
        let compacted = Some(Origin::Compacted { after: 0, upto: 7 });
        assert_eq!(log.begin(compacted), Ok(()));
        assert_eq!(log.check_record(3), Ok(()));
        assert_eq!(log.check_record(3), Err(Fault::OutOfPlace));
        assert_eq!(log.check_record(8), Err(Fault::OutOfPlace));
        let mut log = Continuity::default();
        assert_eq!(log.begin(compacted), Ok(()));
        log.end(3);
        assert_eq!(log.begin(Some(Origin::Written { after: 7 })), Ok(()));
        assert_eq!(log.check_record(8), Ok(()));
        let hole = Fault::Hole { last: 8, after: 9 };
        assert_eq!(log.check_record(10), Err(hole));
        let hole = Fault::Hole {
            last: 10,
            after: 12,
        };
        assert_eq!(log.begin(Some(Origin::Written { after: 12 })), Err(hole));
    }

    #[test]
    fn damage_explains_missing_writes_up_to_the_next_record() {
        let mut log = Continuity::default();
        log.note_damage();
        assert_eq!(log.begin(Some(Origin::Written { after: 5 })), Ok(()));
        assert_eq!(log.check_record(9), Ok(()));
        assert!(log.check_record(11).is_err());
        assert_eq!(log.sequence(), 11);
    }

    #[test]
    fn all_segments_have_one_salt() {
        let mut log = Continuity::resume(Salt(1), 0);
        assert_eq!(log.check_salt(Salt(1)), Ok(()));
        assert_eq!(log.check_salt(Salt(2)), Err(Fault::Foreign));
    }
}
