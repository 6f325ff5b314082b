//! Opening a log: reads its index, finds its end, and removes the traces of a crash.
//!
//! Reading changes nothing, so a log that does not open stays as it is. `format::sound` has the
//! rules that tell damage from the traces of a crash.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use log::{info, warn};

use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::hints::Hints;
use crate::engine::kvs::format::names::{self, Generation, Listing};
use crate::engine::kvs::format::record::{Digest, Location, Salt};
use crate::engine::kvs::format::salvage;
use crate::engine::kvs::format::scanner::{Scanned, Scanner, Step};
use crate::engine::kvs::format::segment::{Opened, Segment};
use crate::engine::kvs::format::sound::{self, Continuity, Fault, Tail};
use crate::engine::kvs::format::watermark::LastRun;
use crate::engine::kvs::index::Index;
use crate::engine::kvs::index::checkpoint::Checkpoint;
use crate::engine::kvs::log::syncer::End;
use crate::error::{KvsError, Result};

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

/// The newest segment, if writing can continue in it.
#[derive(Debug)]
pub(crate) struct Active {
    /// The end of its sound records.
    pub(crate) end: End,
    /// The number of bytes that are known to be on the disk.
    pub(crate) synced: u64,
    /// The bytes after the end that are to be kept in another file. They are more than the rest of
    /// one write.
    torn: Option<Range<u64>>,
}

/// A log as it was found.
#[derive(Debug)]
pub(crate) struct Recovered {
    pub(crate) index: Index,
    /// All segments but the active one.
    pub(crate) sealed: BTreeMap<Generation, Sealed>,
    /// `None` if there are no segments, or if the newest one is a compacted one.
    pub(crate) active: Option<Active>,
    /// The number of the last write.
    pub(crate) sequence: u64,
    /// The number of bytes of the log that the checkpoint covers, if there is a valid one.
    pub(crate) covered: Option<u64>,
    /// The salt of all records. `None` if there are no segments.
    pub(crate) salt: Option<Salt>,
    /// The names of files that are not needed any more.
    leftovers: Vec<String>,
}

impl Recovered {
    /// Reads the log in `dir`, which may be empty, and changes nothing.
    ///
    /// # Errors
    ///
    /// [`KvsError::Damaged`] for everything that a crash does not explain.
    pub(crate) fn read(dir: LogDir<'_>) -> Result<Recovered> {
        Recovered::read_log(dir).map_err(mention_copies)
    }

    fn read_log(dir: LogDir<'_>) -> Result<Recovered> {
        let listing = Listing::of(dir)?;
        let segments = open_segments(dir, &listing.segments)?;
        let last_run = last_run(dir, &segments)?;

        let replay = match Checkpoint::read(dir, &segments) {
            Some((checkpoint, index)) => Replay::after(checkpoint, index, dir),
            None => Replay::new(Source::Hints(dir)),
        };
        let mut recovered = match replay.run(&segments, &last_run) {
            // The checkpoint or the hints may be wrong. Only the records themselves can tell.
            Err(KvsError::Damaged { .. }) => {
                Replay::new(Source::Records).run(&segments, &last_run)?
            }
            read => read?,
        };

        let oldest = segments.first().map(|opened| opened.segment.generation);
        recovered.leftovers = leftovers(listing, oldest, recovered.covered.is_some());
        Ok(recovered)
    }

    /// Removes the leftovers and makes the rest durable, so that a reader never sees a value that a
    /// power cut could still take away. The log is known to be sound.
    pub(crate) fn settle(&mut self, dir: LogDir<'_>) -> Result<()> {
        dir.sync()?;
        if !self.leftovers.is_empty() {
            for name in self.leftovers.drain(..) {
                info!("removing {name:?}, which is not needed any more");
                dir.remove(&name)?;
            }
            // If a power cut brought back an old checkpoint, it might match the log again later.
            dir.sync()?;
        }
        // Segments are synced when they are sealed, but this directory may be a copy.
        for sealed in self.sealed.values() {
            sealed.segment.sync()?;
        }
        if let Some(active) = &mut self.active {
            active.cut(dir, &mut self.index)?;
        }
        Ok(())
    }
}

impl Active {
    /// Cuts the file off at the end of the sound records. Keeps the bytes after it in another file
    /// if they are more than the rest of one write.
    fn cut(&mut self, dir: LogDir<'_>, index: &mut Index) -> Result<()> {
        let End { segment, len, .. } = &mut self.end;
        if let Some(torn) = self.torn.take() {
            let kept = salvage::quarantine(dir, segment, torn.start, torn.end, "torn")?;
            warn!("the dropped bytes are kept in {kept:?}");
        }
        // `detach` copies no more than `len` bytes. Otherwise the file is this store's to cut.
        if let Some(copy) = segment.detach(dir, *len)? {
            *segment = Arc::new(copy);
            index.add_segment(Arc::clone(segment));
        } else if *len < segment.len()? {
            segment.truncate(*len)?;
        }
        Ok(())
    }
}

/// Adds another possible cause to the error for a damaged log.
fn mention_copies(error: KvsError) -> KvsError {
    const COPIED: &str = "if this directory was copied while a server used it, copy it again as \
         \"Backups\" in docs/guarantees.md says";
    match error {
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
    }
}

/// Opens the segments that count, and returns them from the oldest to the newest one.
fn open_segments(dir: LogDir<'_>, generations: &[Generation]) -> Result<Vec<Opened>> {
    let mut segments = Vec::<Opened>::new();
    for generation in generations.iter().rev() {
        let segment = Segment::open(dir, *generation)?;
        let next = segments.last().map(|next| &*next.segment);
        let is_compacted = segment.origin.is_compacted();
        segments.push(Opened {
            len: segment.len()?,
            proof: sound::proof(Some(&segment), next),
            segment: Arc::new(segment),
        });
        // It replaces all older segments. They still exist if a crash came before their removal.
        if is_compacted {
            break;
        }
    }
    segments.reverse();
    Ok(segments)
}

/// Returns the watermark that the previous process left, and checks that its segment exists.
fn last_run(dir: LogDir<'_>, segments: &[Opened]) -> Result<LastRun> {
    let mut last_run = LastRun::of(dir);
    let newest = segments.last().map(|opened| &opened.segment);
    // A watermark that a copy or a backup has left behind says nothing about this log.
    if let Some(newest) = newest {
        last_run.check_salt(newest.salt);
    }
    let synced = last_run.watermark.generation;
    if synced > newest.map_or(0, |newest| newest.generation) {
        return Err(KvsError::Damaged {
            file: dir.path_of(&names::segment(synced)),
            offset: 0,
            reason: Fault::Missing.into(),
        });
    }
    Ok(last_run)
}

/// Returns the names of the files that are not needed any more. `oldest` is the oldest segment that
/// counts.
fn leftovers(listing: Listing, oldest: Option<Generation>, has_checkpoint: bool) -> Vec<String> {
    let is_replaced = |generation: Generation| Some(generation) < oldest;
    let segments = &listing.segments;
    let replaced = segments.iter().filter(|n| is_replaced(**n));
    // If a crash comes while compaction removes a segment, its hints may outlast it.
    let stray_hints = listing.hints.iter();
    let stray_hints = stray_hints.filter(|n| is_replaced(**n) || !segments.contains(n));

    let mut leftovers = listing.unfinished;
    leftovers.extend(replaced.map(|n| names::segment(*n)));
    leftovers.extend(stray_hints.map(|n| names::hints(*n)));
    if listing.has_checkpoint && !has_checkpoint {
        leftovers.push(names::CHECKPOINT.to_owned());
    }
    leftovers
}

/// The files from which the keys of a segment are read.
#[derive(Debug, Clone, Copy)]
enum Source<'a> {
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
        // Without a proof, they may be those of another history of this segment.
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
struct Replay<'a> {
    source: Source<'a>,
    continuity: Continuity,
    index: Index,
    sealed: BTreeMap<Generation, Sealed>,
    /// The checkpoint that the index is from.
    checkpoint: Option<Checkpoint>,
}

impl<'a> Replay<'a> {
    fn new(source: Source<'a>) -> Replay<'a> {
        Replay {
            source,
            continuity: Continuity::default(),
            index: Index::default(),
            sealed: BTreeMap::new(),
            checkpoint: None,
        }
    }

    /// Continues after the segments of a valid checkpoint, which has this index.
    fn after(checkpoint: Checkpoint, index: Index, dir: LogDir<'a>) -> Replay<'a> {
        Replay {
            continuity: Continuity::resume(checkpoint.salt, checkpoint.sequence),
            index,
            checkpoint: Some(checkpoint),
            ..Replay::new(Source::Hints(dir))
        }
    }

    /// Reads the segments that are not covered yet.
    fn run(mut self, segments: &[Opened], last_run: &LastRun) -> Result<Recovered> {
        // The log begins with the covered segments, or the checkpoint would not be valid.
        let covered = self.checkpoint.as_ref().map_or(0, |it| it.segments.len());
        let (covered, rest) = segments.split_at(covered);
        for opened in covered {
            self.index.add_segment(Arc::clone(&opened.segment));
            // The index has their keys, so their hints need only exist.
            let has_hints = self.source.hints_of(opened).is_some();
            self.seal(opened, opened.proof.unwrap_or_default(), has_hints);
        }
        let mut active = None;
        for (n, opened) in rest.iter().enumerate() {
            self.begin(&opened.segment)?;
            let is_newest = n + 1 == rest.len();
            if is_newest && !opened.segment.origin.is_compacted() {
                active = Some(self.replay_active(opened, last_run.clone())?);
            } else {
                self.replay_sealed(opened)?;
            }
        }
        Ok(Recovered {
            index: self.index,
            sealed: self.sealed,
            active,
            sequence: self.continuity.sequence(),
            covered: self.checkpoint.as_ref().map(Checkpoint::bytes),
            salt: self.continuity.salt(),
            leftovers: Vec::new(),
        })
    }

    /// Begins a segment, which must follow the one before it.
    fn begin(&mut self, segment: &Arc<Segment>) -> Result<()> {
        self.continuity
            .check_salt(segment.salt)
            .and_then(|()| self.continuity.begin(Some(segment.origin)))
            .map_err(|fault| segment.damaged(0, fault))?;
        self.index.add_segment(Arc::clone(segment));
        Ok(())
    }

    /// Reads a segment that must be whole.
    fn replay_sealed(&mut self, opened: &Opened) -> Result<()> {
        let hints = self.source.hints_of(opened);
        let from_hints = hints.and_then(|hints| self.read_hints(&hints));
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
        let sealed = Sealed {
            segment: Arc::clone(&opened.segment),
            len: opened.len,
            digest,
            is_proven,
            // Hints of a segment that nothing proves would not be used.
            wants_hints: is_proven && !has_hints,
        };
        self.sealed.insert(opened.segment.generation, sealed);
    }

    /// Adds the keys in the hints to the index. Returns `None` if the hints are damaged.
    fn read_hints(&mut self, hints: &Hints) -> Option<Summary> {
        self.index.reserve(hints.about_how_many(), 0);
        hints.read(|hint| {
            let location = hint.has_value.then_some(hint.location);
            note(&mut self.index, hint.key, location);
        })?;
        Some(Summary {
            sequence: hints.header.sequence,
            digest: hints.header.digest,
        })
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
    /// unless a crash has cut the last writes short.
    fn replay_active(&mut self, opened: &Opened, mut last_run: LastRun) -> Result<Active> {
        let segment = &opened.segment;
        let mut scanner = Scanner::new(Arc::clone(segment), opened.len);
        let error = loop {
            // Whether the watermark counts shows only when the records before it have been read.
            last_run.check_digest(segment, scanner.offset(), scanner.digest());
            match self.replay_next(&mut scanner) {
                Ok(Step::More) => {}
                Ok(Step::Done) => break None,
                Err(error) => break Some(error),
            }
        };
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
        note(&mut self.index, record.key, record.value.map(|_| location));
        Ok(Step::More)
    }
}

/// Decides whether the tail of the newest segment, which begins with `error`, may be dropped.
/// Returns the part of it that is to be kept in another file.
fn torn_tail(opened: &Opened, error: KvsError, last_run: &LastRun) -> Result<Option<Range<u64>>> {
    let KvsError::Damaged { offset, .. } = error else {
        return Err(error);
    };
    let (segment, end) = (&opened.segment, opened.len);
    let is_followed = salvage::find_record(segment, offset + 1, end)?.is_some();
    let tail = Tail::at(segment, offset, is_followed, last_run);
    if tail == Tail::Damaged {
        // Dropping the tail would also drop the sound records behind the damage.
        return Err(error);
    }
    warn!(
        "{:?} ends with writes that were cut short: dropping its last {} bytes",
        segment.path(),
        end - offset
    );
    // The rest of one write that was never synced is of no use to anyone.
    let keeps = is_followed || tail == Tail::Lost;
    Ok(keeps.then_some(offset..end))
}

fn note(index: &mut Index, key: &str, location: Option<Location>) {
    match location {
        Some(location) => index.put(key, location, None),
        None => index.remove(key),
    }
}
