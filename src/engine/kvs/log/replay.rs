//! Building the index from the segments, and finding the end of the log.

use std::collections::BTreeMap;
use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::{self, SyncSender};
use std::thread;

use log::warn;

use super::end::End;
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::hints::{Header, Hints};
use crate::engine::kvs::format::names::Generation;
use crate::engine::kvs::format::record::{Digest, Location, Salt};
use crate::engine::kvs::format::salvage;
use crate::engine::kvs::format::scanner::{Scanned, Scanner, Step};
use crate::engine::kvs::format::segment::Opened;
use crate::engine::kvs::format::sound::{self, Continuity, Tail};
use crate::engine::kvs::format::watermark::LastRun;
use crate::engine::kvs::index::Index;
use crate::engine::kvs::index::checkpoint::Checkpoint;
use crate::engine::kvs::index::few::KeyList;
use crate::error::{KvsError, Result};

/// The number of batches of [`Notes`] that are read ahead, and of notes in a batch, at most. Fewer
/// would wake the other thread too often.
const AHEAD: usize = 16;
const BATCH: usize = 2048;

/// Records that the index does not have yet, in their order. A tombstone has no location.
type Notes = KeyList<Option<Location>>;

/// A segment that is no longer written to.
#[derive(Debug)]
pub(super) struct Sealed {
    pub(super) end: End,
    /// Whether a header has the digest, which proves that hints and checkpoint belong to the
    /// segment.
    pub(super) is_proven: bool,
    /// Whether its hints are still to be written.
    pub(super) wants_hints: bool,
}

/// The newest segment, if writing can continue in it.
#[derive(Debug)]
pub(super) struct Active {
    /// The end of its sound records.
    pub(super) end: End,
    /// The number of bytes that are known to be on the disk.
    pub(super) synced: u64,
    /// The bytes after the end that are to be kept in another file. They are more than the rest of
    /// one write.
    pub(super) torn: Option<Range<u64>>,
}

/// A log whose segments have been read.
#[derive(Debug)]
pub(super) struct Replayed {
    pub(super) index: Index,
    /// All segments but the active one.
    pub(super) sealed: BTreeMap<Generation, Sealed>,
    /// `None` if there are no segments, or if the newest one is a compacted one.
    pub(super) active: Option<Active>,
    /// The number of the last write.
    pub(super) sequence: u64,
    /// The number of bytes of the log that the checkpoint covers, if there is a valid one.
    pub(super) covered: Option<u64>,
    /// The salt of all records. `None` if there are no segments.
    pub(super) salt: Option<Salt>,
}

/// The files from which the keys of a segment are read.
#[derive(Debug, Clone, Copy)]
pub(super) enum Source<'a> {
    /// The hints of the segment, if there are any that belong to it.
    Hints(LogDir<'a>),
    /// Its records.
    Records,
}

impl Source<'_> {
    /// Returns the hints that belong to a segment, if they are to be used.
    fn hints_of(self, opened: &Opened) -> Option<Hints> {
        let Source::Hints(dir) = self else {
            return None;
        };
        // Hints without a proof may be those of another history of this segment.
        let proof = opened.proof?;
        Hints::open(dir, opened.segment.generation)
            .filter(|hints| hints.are_of(&opened.segment, opened.len, proof))
    }
}

/// The last sequence number and the digest of all records of a segment.
struct Summary {
    sequence: u64,
    digest: Digest,
}

/// Builds the index from the segments, oldest first.
pub(super) struct Replay<'a> {
    source: Source<'a>,
    continuity: Continuity,
    index: Index,
    notes: Notes,
    sealed: BTreeMap<Generation, Sealed>,
    /// The checkpoint that the index is from.
    checkpoint: Option<Checkpoint>,
}

impl<'a> Replay<'a> {
    pub(super) fn new(source: Source<'a>) -> Replay<'a> {
        Replay {
            source,
            continuity: Continuity::default(),
            index: Index::default(),
            notes: Notes::new(BATCH),
            sealed: BTreeMap::new(),
            checkpoint: None,
        }
    }

    /// Continues after the segments of a valid checkpoint, which has this index.
    pub(super) fn after(checkpoint: Checkpoint, index: Index, dir: LogDir<'a>) -> Replay<'a> {
        Replay {
            continuity: Continuity::resume(checkpoint.salt, checkpoint.sequence),
            index,
            checkpoint: Some(checkpoint),
            ..Replay::new(Source::Hints(dir))
        }
    }

    /// Reads the segments that are not covered yet.
    pub(super) fn run(mut self, segments: &[Opened], last_run: &LastRun) -> Result<Replayed> {
        // The log begins with the covered segments, or the checkpoint would not be valid.
        let covered = self.checkpoint.as_ref().map_or(0, |it| it.segments.len());
        let (covered, rest) = segments.split_at(covered);
        for opened in covered {
            let segment = Arc::clone(&opened.segment);
            self.index.add_segment(segment, opened.len);
            // The index has their keys, so their hints need only exist.
            let has_hints = self.source.hints_of(opened).is_some();
            self.seal(opened, opened.proof.unwrap_or_default(), has_hints);
        }
        let mut active = None;
        for (n, opened) in rest.iter().enumerate() {
            self.begin(opened)?;
            let is_newest = n + 1 == rest.len();
            if is_newest && !opened.segment.origin.is_compacted() {
                active = Some(self.replay_active(opened, last_run.clone())?);
            } else {
                self.replay_sealed(opened)?;
            }
        }
        note_all(&mut self.index, &mut self.notes);
        Ok(Replayed {
            index: self.index,
            sealed: self.sealed,
            active,
            sequence: self.continuity.sequence(),
            covered: self.checkpoint.as_ref().map(Checkpoint::bytes),
            salt: self.continuity.salt(),
        })
    }

    /// Begins a segment, which must follow the one before it.
    fn begin(&mut self, opened: &Opened) -> Result<()> {
        let segment = &opened.segment;
        self.continuity
            .check_salt(segment.salt)
            .and_then(|()| self.continuity.begin(Some(segment.origin)))
            .map_err(|fault| segment.damaged(0, fault))?;
        self.index.add_segment(Arc::clone(segment), opened.len);
        Ok(())
    }

    /// Reads a segment that must be whole.
    fn replay_sealed(&mut self, opened: &Opened) -> Result<()> {
        let hints = self.source.hints_of(opened);
        let from_hints = hints.and_then(|hints| self.read_hints(hints));
        let has_hints = from_hints.is_some();
        // If the hints end early, reading the records corrects the entries made so far.
        let summary = match from_hints {
            Some(summary) => summary,
            None => self.read_records(opened)?,
        };
        sound::check_proof(opened.proof, summary.digest)
            .map_err(|fault| opened.segment.damaged(0, fault))?;
        self.continuity.end(summary.sequence);
        self.seal(opened, summary.digest, has_hints);
        Ok(())
    }

    fn seal(&mut self, opened: &Opened, digest: Digest, has_hints: bool) {
        let is_proven = opened.proof.is_some();
        let end = End {
            segment: Arc::clone(&opened.segment),
            len: opened.len,
            digest,
        };
        let sealed = Sealed {
            end,
            is_proven,
            // Hints of a segment that nothing proves would not be used.
            wants_hints: is_proven && !has_hints,
        };
        self.sealed.insert(opened.segment.generation, sealed);
    }

    /// Adds the keys in the hints to the index. Returns `None` if the hints are damaged.
    fn read_hints(&mut self, hints: Hints) -> Option<Summary> {
        let Header {
            sequence, digest, ..
        } = hints.header;
        // An index that grows by doubling would move its entries again and again.
        self.index.reserve(hints.about_how_many(), 0);
        note_all(&mut self.index, &mut self.notes);
        let (sender, batches) = mpsc::sync_channel(AHEAD);
        thread::scope(|scope| {
            let reader = thread::Builder::new().name("kvs-hints".to_owned());
            let read = reader.spawn_scoped(scope, || read_ahead(hints, sender));
            for mut notes in batches {
                note_all(&mut self.index, &mut notes);
            }
            read.ok()?.join().ok()?
        })?;
        Some(Summary { sequence, digest })
    }

    fn read_records(&mut self, opened: &Opened) -> Result<Summary> {
        let mut scanner = Scanner::new(Arc::clone(&opened.segment), opened.len);
        while self.replay_next(&mut scanner)? == Step::More {}
        Ok(Summary {
            sequence: scanner.sequence(),
            digest: scanner.digest(),
        })
    }

    /// Reads the newest segment up to the end of its valid part. That is the end of the file,
    /// unless a crash has cut the last writes short, or left zeros ahead of them.
    fn replay_active(&mut self, opened: &Opened, mut last_run: LastRun) -> Result<Active> {
        let segment = &opened.segment;
        let mut scanner = Scanner::new(Arc::clone(segment), opened.len);
        let error = loop {
            // Only the records before the watermark can tell whether it belongs to this log.
            last_run.check_digest(segment, scanner.offset(), scanner.digest());
            match self.replay_next(&mut scanner) {
                Ok(Step::More) => {}
                Ok(Step::Done) => break None,
                Err(error) => break Some(error),
            }
        };
        // The scanner stays before the record that it could not read.
        self.continuity.end(scanner.sequence());
        let torn = match error {
            Some(error) => torn_tail(opened, error, &last_run)?,
            None => None,
        };
        let (len, synced) = (scanner.offset(), last_run.synced(segment));
        if len < synced {
            warn!(
                "{:?} ends {} bytes before data that was synced: the disk may be failing",
                segment.path(),
                synced - len
            );
        }
        Ok(Active {
            end: End {
                segment: Arc::clone(segment),
                len,
                digest: scanner.digest(),
            },
            synced: synced.min(len),
            torn,
        })
    }

    /// Adds the next record to the index, if there is one.
    fn replay_next(&mut self, scanner: &mut Scanner) -> Result<Step> {
        let Some(Scanned {
            location, record, ..
        }) = scanner.next()?
        else {
            return Ok(Step::Done);
        };
        self.notes.push(record.key, record.value.map(|_| location));
        if self.notes.is_full() {
            note_all(&mut self.index, &mut self.notes);
        }
        Ok(Step::More)
    }
}

/// Reads hints while the thread that has the index looks up those before, which takes longer: it
/// waits for memory. Returns `None` if the hints are damaged.
fn read_ahead(hints: Hints, sender: SyncSender<Notes>) -> Option<()> {
    let mut notes = Notes::new(BATCH);
    hints.read(|hint| {
        notes.push(hint.key, hint.has_value.then_some(hint.location));
        if notes.is_full() {
            // The receiver takes all of them.
            let _ = sender.send(mem::replace(&mut notes, Notes::new(BATCH)));
        }
    })?;
    sender.send(notes).ok()
}

/// Decides whether the tail of the newest segment, which begins with `error`, may be dropped.
/// Returns the part of it that is to be kept in another file.
fn torn_tail(opened: &Opened, error: KvsError, last_run: &LastRun) -> Result<Option<Range<u64>>> {
    let KvsError::Damaged { offset, .. } = error else {
        return Err(error);
    };
    let (segment, end) = (&opened.segment, opened.len);
    let written = sound::written_end(segment, offset, end, last_run)?;
    if written == offset {
        return Ok(None);
    }
    let is_followed = salvage::find_record(segment, offset + 1, end)?.is_some();
    let tail = Tail::at(segment, offset, is_followed, last_run);
    if tail == Tail::Damaged {
        // Dropping the tail would also drop the sound records behind the damage.
        return Err(error);
    }
    warn!(
        "{:?} ends with writes that were cut short: dropping its last {} bytes",
        segment.path(),
        written - offset
    );
    // The rest of one write that was never synced is useless: no caller was told of its success.
    let keeps = is_followed || tail == Tail::Lost;
    Ok(keeps.then_some(offset..written))
}

/// Brings the records to the index.
fn note_all(index: &mut Index, notes: &mut Notes) {
    for few in notes.chunks() {
        index.look_ahead(few.clone().map(|(key, _)| key));
        for (key, location) in few {
            match location {
                Some(location) => index.put(key, location, None),
                None => index.remove(key),
            }
        }
    }
    notes.clear();
}
