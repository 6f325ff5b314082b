//! The log: writes go to its end, compaction takes from its beginning.
//!
//! Segments are read in the order of their generations, and of two records of one key the later
//! one counts. Only the newest segment is written to; the ones before it are sealed.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::mem;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use log::{error, info, warn};

use super::KvStoreOptions;
use super::checkpoint::{self, Covered};
use super::compaction::Compaction;
use super::hints;
use super::index::{Index, Location};
use super::queue::{Op, Outcome, Request};
use super::record::{self, Digest, Record, Salt};
use super::recovery::{Recovered, Sealed};
use super::segment::{self, Generation, Origin, Segment};
use super::unsynced::Unsynced;
use super::work::Work;
use crate::engine::files::Directory;
use crate::engine::{EngineFuture, SyncLevel};
use crate::error::{KvsError, Result};
use crate::sync::RwLock;

/// What was put at the end of the log.
struct Appended {
    /// Where it begins.
    offset: u64,
    /// The places of those that wanted to remove a key that is not there, in ascending order.
    missing: Vec<usize>,
}

/// Bytes of the longest buffer for records that is kept for the next batch.
const MAX_BUFFER: usize = 1024 * 1024;

/// How the log is doing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Figures {
    pub(super) dead_bytes: u64,
    pub(super) segments: usize,
    /// When a compaction last took effect.
    pub(super) compacted: Option<Instant>,
}

/// The end of the log, and whatever else only the writer knows. There is one writer at a time: the
/// thread that owns this.
#[derive(Debug)]
pub(super) struct Log {
    dir: Arc<dyn Directory>,
    options: KvStoreOptions,
    /// What readers see. Only the writer changes it, and only for what is in the log already.
    index: Arc<RwLock<Index>>,
    unsynced: Arc<Unsynced>,
    active: Arc<Segment>,
    active_len: u64,
    /// The digest of the active segment's records.
    digest: Digest,
    /// The other segments.
    sealed: BTreeMap<Generation, Sealed>,
    /// The number of the last write.
    sequence: u64,
    /// Bytes of the log that there is a checkpoint of.
    covered: u64,
    /// Whether something is being done in the background.
    is_working: bool,
    /// A compaction that could not go on.
    stalled: Option<Compaction>,
    /// Whether that has been reported.
    is_stalled: bool,
    compacted: Option<Instant>,
    failure: Failure,
    /// Where the records of a batch are put together.
    buffer: Vec<u8>,
}

impl Log {
    /// Opens the log in `dir`, which may be empty.
    pub(super) fn open(dir: Arc<dyn Directory>, options: KvStoreOptions) -> Result<Log> {
        let mut found = Recovered::read(&*dir)?;
        found.settle(&*dir)?;
        let failure = Failure::default();
        let salt = found.salt.unwrap_or_else(random_salt);
        let (active, synced, active_len) = match found.active {
            Some((active, len)) => (active, found.synced, len),
            None => {
                let newest = found.sealed.keys().next_back();
                let generation = newest.map_or(1, |newest| newest + 1);
                let before = mem::take(&mut found.digest);
                let active = create(&*dir, generation, found.sequence, salt, before, &failure)?;
                found.index.add_segment(Arc::clone(&active));
                (active, segment::HEADER_LEN, segment::HEADER_LEN)
            }
        };
        found.index.keep_bytes(options.cache_bytes);
        // Whoever was here before may not have synced it, and what we show must not be lost.
        let unsynced = Unsynced::new(
            &*dir,
            &active,
            synced,
            active_len,
            found.digest,
            failure.clone(),
        )?;
        Ok(Log {
            dir,
            options,
            index: Arc::new(RwLock::new(found.index)),
            unsynced: Arc::new(unsynced),
            active,
            active_len,
            digest: found.digest,
            sealed: found.sealed,
            sequence: found.sequence,
            covered: found.covered,
            is_working: false,
            stalled: None,
            is_stalled: false,
            compacted: None,
            failure,
            buffer: Vec::new(),
        })
    }

    pub(super) fn index(&self) -> &Arc<RwLock<Index>> {
        &self.index
    }

    pub(super) fn unsynced(&self) -> &Arc<Unsynced> {
        &self.unsynced
    }

    pub(super) fn failure(&self) -> &Failure {
        &self.failure
    }

    /// Whether a commit takes no waiting for a disk.
    pub(super) fn can_commit_at_once(&self) -> bool {
        self.active.can_write_at_once()
            && self.options.sync != SyncLevel::Always
            && self.active_len < self.options.segment_bytes
            && !self.unsynced.is_syncing()
    }

    /// Writes all that is in `batch` at once, has it take effect in its order, and says what became
    /// of it. Looking up a key is up to `find`.
    pub(super) fn commit(
        &mut self,
        batch: Vec<Request>,
        find: impl Fn(&Index, String) -> EngineFuture<Option<String>>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let mut offset = match self.append(&batch) {
            Ok(Appended { offset, missing }) => {
                outcome.missing = missing;
                offset
            }
            Err(error) => {
                outcome.error = Some(error);
                0
            }
        };
        let generation = self.active.generation;
        let mut missing = outcome.missing.iter().copied().peekable();
        let mut index = self.index.write();
        for (n, Request { key, op }) in batch.into_iter().enumerate() {
            let len = record::len(&key, op.value());
            let location = Location {
                offset,
                generation,
                len,
            };
            match op {
                Op::Find => {
                    outcome.found.push((n, find(&index, key)));
                    continue;
                }
                _ if outcome.error.is_some() || missing.next_if_eq(&n).is_some() => continue,
                Op::Set(value) => index.put(&key, location, Some(value.into())),
                Op::Remove => index.remove(&key),
            }
            offset += u64::from(len);
        }
        outcome
    }

    /// Puts the writes of the batch at the end of the log. An error befell all of them.
    fn append(&mut self, batch: &[Request]) -> Result<Appended> {
        let is_write = |request: &Request| !matches!(request.op, Op::Find);
        if !batch.iter().any(is_write) {
            return Ok(Appended {
                offset: 0,
                missing: Vec::new(),
            });
        }
        self.failure.check()?;
        if self.active_len >= self.options.segment_bytes {
            self.roll(self.active.generation + 1)?;
        }

        let missing = self.find_missing(batch);
        let mut is_missing = missing.iter().copied().peekable();
        let mut bytes = mem::take(&mut self.buffer);
        bytes.clear();
        let (mut sequence, mut digest) = (self.sequence, self.digest);
        for (n, Request { key, op }) in batch.iter().enumerate() {
            if matches!(op, Op::Find) || is_missing.next_if_eq(&n).is_some() {
                continue;
            }
            sequence += 1;
            let (value, start) = (op.value(), bytes.len());
            Record {
                sequence,
                key,
                value,
            }
            .encode(self.active.salt, &mut bytes);
            digest.add(&bytes[start..]);
        }

        let offset = self.active_len;
        if let Err(error) = self.active.write(&bytes, offset) {
            // A full disk may have taken a part of it. Cut that off for good: what is written next
            // must not have records behind it that were refused.
            let _ = self.unsynced.cut(&self.active, offset);
            return Err(error);
        }
        let len = offset + bytes.len() as u64;
        if bytes.capacity() <= MAX_BUFFER {
            self.buffer = bytes;
        }
        self.unsynced.note(&self.active, len, digest);
        if self.options.sync == SyncLevel::Always {
            self.unsynced.sync()?;
        }
        self.active_len = len;
        (self.sequence, self.digest) = (sequence, digest);
        Ok(Appended { offset, missing })
    }

    /// Which of the batch want to remove a key that is not there when it is their turn.
    fn find_missing(&self, batch: &[Request]) -> Vec<usize> {
        let is_remove = |request: &Request| matches!(request.op, Op::Remove);
        let mut missing = Vec::new();
        if !batch.iter().any(is_remove) {
            return missing;
        }
        // Which keys are there according to the batch. The index does not show that yet.
        let mut is_there = HashMap::new();
        let index = self.index.read();
        for (n, Request { key, op }) in batch.iter().enumerate() {
            match op {
                Op::Find => {}
                Op::Set(_) => drop(is_there.insert(key, true)),
                Op::Remove => {
                    let was_there = is_there.insert(key, false);
                    if !was_there.unwrap_or_else(|| index.location(key).is_some()) {
                        missing.push(n);
                    }
                }
            }
        }
        missing
    }

    /// Seals the active segment and goes on in a new one.
    fn roll(&mut self, generation: Generation) -> Result<()> {
        // Whatever the level: a sealed segment with a torn end would count as damage.
        self.unsynced.sync()?;
        let segment = create(
            &*self.dir,
            generation,
            self.sequence,
            self.active.salt,
            self.digest,
            &self.failure,
        )?;
        self.unsynced.note_new(&segment);
        self.index.write().add_segment(Arc::clone(&segment));
        let sealed = Sealed {
            segment: mem::replace(&mut self.active, segment),
            len: mem::replace(&mut self.active_len, segment::HEADER_LEN),
            digest: mem::take(&mut self.digest),
            is_proven: true,
            wants_hints: true,
        };
        self.sealed.insert(sealed.segment.generation, sealed);
        Ok(())
    }

    /// Whether there is something to be done in the background.
    pub(super) fn is_untidy(&self) -> bool {
        !self.is_working
            && (self.stalled.is_some()
                || self.wants_compaction()
                || self.sealed.values().any(|sealed| sealed.wants_hints))
    }

    fn wants_compaction(&self) -> bool {
        self.dead_bytes() >= self.index.read().live_bytes().max(self.options.dead_bytes)
    }

    /// Has what was done in the background take effect, and says what is to be done there next.
    pub(super) fn tidy(&mut self, done: Option<(Work, Result<()>)>) -> Option<Work> {
        let is_synced = matches!(done, Some((Work::Sync, Ok(()))));
        let finished = match done {
            Some((work, result)) => self.finish(work, result),
            None => Ok(()),
        };
        if self.is_working || self.failure.check().is_err() {
            return None;
        }
        match finished.and_then(|()| self.next_work(is_synced)) {
            Ok(work) => {
                self.is_working = work.is_some();
                work
            }
            Err(error) => {
                if !mem::replace(&mut self.is_stalled, true) {
                    warn!("compaction cannot go on, and tries again with the next writes: {error}");
                }
                None
            }
        }
    }

    fn finish(&mut self, work: Work, result: Result<()>) -> Result<()> {
        self.is_working = false;
        match work {
            Work::Sync => result,
            Work::Hints(writer) => {
                if let Err(error) = result.and_then(|()| writer.publish(&*self.dir)) {
                    warn!("going on without hints: {error}");
                    let name = segment::unfinished(&hints::name(writer.generation()));
                    if let Err(error) = segment::remove(&*self.dir, &name) {
                        warn!("{error}");
                    }
                }
                Ok(())
            }
            Work::Compaction(compaction) => {
                let finished = result.and_then(|()| self.finish_compaction(&compaction));
                match &finished {
                    Ok(()) => self.is_stalled = false,
                    Err(error @ KvsError::Damaged { .. }) => {
                        warn!("no more compaction until this is repaired: {error}");
                        // It never comes to its end.
                        self.is_working = true;
                    }
                    Err(_) => self.stalled = Some(compaction),
                }
                finished
            }
        }
    }

    fn next_work(&mut self, is_synced: bool) -> Result<Option<Work>> {
        if let Some(compaction) = self.stalled.take() {
            Ok(Some(Work::Compaction(compaction)))
        } else if !self.wants_compaction() {
            Ok(self.start_hints().map(Work::Hints))
        } else if is_synced {
            self.start_compaction().map(Work::Compaction).map(Some)
        } else {
            Ok(Some(Work::Sync))
        }
    }

    fn start_compaction(&mut self) -> Result<Compaction> {
        // The output comes between what it replaces and what is written meanwhile.
        let generation = self.active.generation + 1;
        let upto = self.sequence;
        let origin = Origin::Compacted { upto };
        let output = Segment::create(&*self.dir, generation, origin, self.active.salt)?;
        let output = Arc::new(output);
        self.roll(generation + 1)?;
        self.index.write().add_segment(Arc::clone(&output));
        let inputs = self.sealed.values();
        let inputs = inputs.map(|sealed| (Arc::clone(&sealed.segment), sealed.len));
        let failure = self.failure.clone();
        Ok(Compaction::new(inputs.collect(), output, failure))
    }

    fn finish_compaction(&mut self, compaction: &Compaction) -> Result<()> {
        let (segment, len, digest) = compaction.output();
        // What was left out is dead because of newer writes. A power cut that took those would
        // take the key with them.
        self.unsynced.sync()?;
        publish(&*self.dir, &segment, &self.failure)?;
        self.compacted = Some(Instant::now());
        self.replace_inputs(Sealed {
            segment,
            len,
            digest,
            is_proven: true,
            wants_hints: true,
        });
        Ok(())
    }

    /// Puts the output of a compaction in the place of everything that was sealed before it.
    fn replace_inputs(&mut self, output: Sealed) {
        let before = self.dead_bytes();
        // What was sealed while the compaction ran is newer than its output, and stays.
        let newer = self.sealed.split_off(&output.segment.generation);
        let inputs = mem::replace(&mut self.sealed, newer);
        self.sealed.insert(output.segment.generation, output);
        self.covered = 0;
        for generation in inputs.into_keys() {
            self.index.write().remove_segment(generation);
            let removed = segment::remove(&*self.dir, &segment::name(generation))
                .and_then(|()| segment::remove(&*self.dir, &hints::name(generation)));
            if let Err(error) = removed {
                warn!("a replaced file stays until the store is opened again: {error}");
            }
        }
        if let Err(error) = segment::sync_names(&*self.dir) {
            warn!("replaced files may come back until the store is opened again: {error}");
        }
        let freed = before.saturating_sub(self.dead_bytes());
        info!("compaction of {:?} freed {freed} bytes", self.dir.path());
    }

    /// Begins the hints of a sealed segment that has none.
    fn start_hints(&mut self) -> Option<hints::Writer> {
        let mut without = self.sealed.values_mut().filter(|sealed| sealed.wants_hints);
        let sealed = without.next()?;
        sealed.wants_hints = false;
        hints::Writer::new(&*self.dir, Arc::clone(&sealed.segment), sealed.len)
            .inspect_err(|error| warn!("going on without hints: {error}"))
            .ok()
    }

    /// Syncs everything, and leaves a checkpoint for the next time that the log is opened, if reading
    /// the part without one would take a while.
    pub(super) fn close(&mut self) {
        let wants_checkpoint = self.wants_checkpoint();
        // The header of the next segment proves that what is covered is complete.
        let is_sealed = wants_checkpoint
            && (self.active_len == self.active.start
                || self
                    .roll(self.active.generation + 1)
                    .inspect_err(|error| warn!("continuing without {}: {error}", checkpoint::NAME))
                    .is_ok());
        // A failure is in the log lines, and no caller is left to tell.
        if self.unsynced.sync_with_watermark().is_err() || !is_sealed {
            return;
        }
        let segments = self.sealed.iter();
        let segments = segments.map(|(n, sealed)| (*n, (sealed.len, sealed.digest)));
        let covered = Covered {
            salt: self.active.salt,
            sequence: self.sequence,
            segments: segments.collect(),
        };
        if let Err(error) = covered.write(&*self.dir, &self.index.read()) {
            warn!("continuing without {}: {error}", checkpoint::NAME);
        }
    }

    fn wants_checkpoint(&self) -> bool {
        // A compaction that has not ended has moved records to where they do not count yet, or has
        // found damage that opening the log should find, too. Other work is not waited for either.
        if self.is_working || self.stalled.is_some() {
            return false;
        }
        // It would not be believed.
        if self.sealed.values().any(|sealed| !sealed.is_proven) {
            return false;
        }
        let sealed: u64 = self.sealed.values().map(|sealed| sealed.len).sum();
        sealed + self.active_len - self.covered >= self.options.step_bytes() as u64
    }

    pub(super) fn figures(&self) -> Figures {
        Figures {
            dead_bytes: self.dead_bytes(),
            segments: self.sealed.len() + 1,
            compacted: self.compacted,
        }
    }

    /// Bytes of the log that no key needs any more.
    fn dead_bytes(&self) -> u64 {
        let sealed = self.sealed.values();
        let sealed = sealed.map(|sealed| sealed.len - sealed.segment.start);
        let all = sealed.sum::<u64>() + self.active_len - self.active.start;
        // Forged hints may say that more is alive than there is.
        all.saturating_sub(self.index.read().live_bytes())
    }
}

/// Makes the segment that is written to next, after the write `after` and the segment with the digest
/// `before`.
fn create(
    dir: &dyn Directory,
    generation: Generation,
    after: u64,
    salt: Salt,
    before: Digest,
    failure: &Failure,
) -> Result<Arc<Segment>> {
    let segment = Segment::create(dir, generation, Origin::Written { after }, salt)?;
    segment.complete(segment::HEADER_LEN, before)?;
    // After a failed sync nobody can tell what is on the disk, and another one would not either.
    segment.sync().inspect_err(|error| failure.set(error))?;
    publish(dir, &segment, failure)?;
    Ok(Arc::new(segment))
}

/// Makes a segment that is complete and on the disk a part of the log.
fn publish(dir: &dyn Directory, segment: &Segment, failure: &Failure) -> Result<()> {
    segment.publish(dir)?;
    segment::sync_names(dir).inspect_err(|error| failure.set(error))
}

/// The standard library seeds its hash maps from the system's source of random numbers.
pub(super) fn random_salt() -> Salt {
    Salt(RandomState::new().build_hasher().finish() as u32)
}

/// Why nothing more may be written, once that is so: the log is in a state that only opening it
/// again can make sure of.
#[derive(Debug, Clone, Default)]
pub(super) struct Failure(Arc<OnceLock<String>>);

impl Failure {
    /// Stops all writing. The first reason stays.
    pub(super) fn set(&self, reason: impl ToString) {
        let reason = self.0.get_or_init(|| reason.to_string());
        error!("no more writes until the store is opened again: {reason}");
    }

    pub(super) fn check(&self) -> Result<()> {
        match self.0.get() {
            Some(reason) => Err(KvsError::EngineStopped {
                reason: reason.clone(),
            }),
            None => Ok(()),
        }
    }
}
