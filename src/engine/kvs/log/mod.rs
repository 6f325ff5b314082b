//! The log: writes go to its end, compaction takes from its beginning.
//!
//! Segments are read in the order of their generations, and of two records of one key the later
//! one counts. Only the newest segment is written to; the ones before it are sealed.

pub(crate) mod background;
pub(crate) mod compaction;
pub(crate) mod failure;
pub(crate) mod recovery;
pub(crate) mod syncer;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::io;
use std::mem;
use std::ops::Range;
use std::sync::Arc;
use std::time::{Duration, Instant};

use log::Level;

use crate::engine::files::Directory;
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::hints;
use crate::engine::kvs::format::names::{self, Generation};
use crate::engine::kvs::format::record::Location;
use crate::engine::kvs::format::record::{self, Digest, Record, Salt};
use crate::engine::kvs::format::segment::{self, Origin, Segment};
use crate::engine::kvs::index::Index;
use crate::engine::kvs::index::checkpoint::Checkpoint;
use crate::engine::kvs::journal::Journal;
use crate::engine::kvs::log::background::{self as work, Job, Work};
use crate::engine::kvs::log::compaction::{Compaction, Switch};
use crate::engine::kvs::log::failure::Failure;
use crate::engine::kvs::log::recovery::{Active, Recovered, Sealed};
use crate::engine::kvs::log::syncer::{End, Syncer};
use crate::engine::kvs::options::KvStoreOptions;
use crate::engine::{EngineFuture, SyncLevel};
use crate::error::{KvsError, Result};
use crate::sync::{Mutex, RwLock};

/// What somebody asked for that needs the writer's turn.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) key: String,
    pub(crate) op: Op,
}

#[derive(Debug)]
pub(crate) enum Op {
    Set(String),
    Remove,
    /// To look the key up after the writes before this one, and before those after it.
    Find,
}

impl Op {
    /// What the key is to have, if it is to have a value.
    pub(crate) fn value(&self) -> Option<&str> {
        match self {
            Op::Set(value) => Some(value),
            Op::Remove | Op::Find => None,
        }
    }
}

/// What became of a batch.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// The errors, each with the places of the writes that failed.
    pub(crate) errors: Vec<(Range<usize>, KvsError)>,
    /// The places of those that wanted to remove a key that was not there, in ascending order.
    pub(crate) missing: Vec<usize>,
    /// What was found, with the places of those that looked for it, in ascending order.
    pub(crate) found: Vec<(usize, EngineFuture<Option<String>>)>,
}

impl Outcome {
    /// Returns the outcome of a batch that nobody commits.
    pub(crate) fn given_up() -> Outcome {
        let reason = "the thread that should have done it is gone".to_owned();
        let error = KvsError::EngineStopped { reason };
        Outcome {
            errors: vec![(0..usize::MAX, error)],
            ..Outcome::default()
        }
    }

    pub(crate) fn error(&self, n: usize) -> Option<&KvsError> {
        let mut errors = self.errors.iter();
        errors.find_map(|(range, error)| range.contains(&n).then_some(error))
    }

    /// Adds the outcome of the rest of the batch, after its first `len` requests.
    pub(crate) fn extend(&mut self, len: usize, rest: Outcome) {
        let errors = rest.errors.into_iter();
        self.errors
            .extend(errors.map(|(range, error)| (range.start + len..range.end + len, error)));
        self.missing.extend(rest.missing.iter().map(|n| n + len));
        let found = rest.found.into_iter();
        self.found.extend(found.map(|(n, found)| (n + len, found)));
    }
}

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
pub(crate) struct Figures {
    pub(crate) dead_bytes: u64,
    pub(crate) segments: usize,
    /// When a compaction last took effect.
    pub(crate) compacted: Option<Instant>,
}

/// The end of the log, and whatever else only the writer knows. There is one writer at a time: the
/// thread that owns this.
#[derive(Debug)]
pub(crate) struct Log {
    dir: Arc<dyn Directory>,
    options: KvStoreOptions,
    /// What readers see. Only the writer changes it, and only for what is in the log already.
    index: Arc<RwLock<Index>>,
    syncer: Arc<Syncer>,
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
    /// The background job under way.
    job: Option<Job>,
    /// The second half of a compaction, if it is the next background job.
    switch: Option<Switch>,
    /// The number of background jobs that have failed in a row.
    failed_jobs: u32,
    /// How long the next background job has to wait, if the last one failed or had no room on the
    /// disk.
    pause: Option<Pause>,
    /// Whether it has been reported that compaction cannot go on.
    has_warned: bool,
    /// Whether compaction has met damage. It never begins again then.
    is_damaged: bool,
    compacted: Option<Instant>,
    failure: Failure,
    /// Where the records of a batch are put together.
    buffer: Vec<u8>,
}

impl Log {
    /// Opens the log in `dir`, which may be empty.
    pub(crate) fn open(
        dir: Arc<dyn Directory>,
        options: KvStoreOptions,
        journal: Journal,
    ) -> Result<Log> {
        let mut found = Recovered::read(LogDir::new(&*dir))?;
        found.settle(LogDir::new(&*dir))?;
        let failure = Failure::new(journal);
        let salt = found.salt.unwrap_or_else(Salt::random);
        let (end, synced) = match found.active {
            Some(Active { end, synced, .. }) => (end, synced),
            None => {
                let newest = found.sealed.values().next_back();
                let generation = newest.map_or(1, |newest| newest.segment.generation + 1);
                let before = newest.map_or(Digest::default(), |newest| newest.digest);
                let active = create(
                    LogDir::new(&*dir),
                    generation,
                    found.sequence,
                    salt,
                    before,
                    &failure,
                )?;
                found.index.add_segment(Arc::clone(&active));
                (End::of_new(active), segment::HEADER_LEN)
            }
        };
        found.index.keep_bytes(options.cache_bytes);
        let syncer = Syncer::new(LogDir::new(&*dir), end.clone(), synced, failure.clone())?;
        Ok(Log {
            dir,
            options,
            index: Arc::new(RwLock::new(found.index)),
            syncer: Arc::new(syncer),
            active: end.segment,
            active_len: end.len,
            digest: end.digest,
            sealed: found.sealed,
            sequence: found.sequence,
            covered: found.covered.unwrap_or(0),
            job: None,
            switch: None,
            failed_jobs: 0,
            pause: None,
            has_warned: false,
            is_damaged: false,
            compacted: None,
            failure,
            buffer: Vec::new(),
        })
    }

    fn dir(&self) -> LogDir<'_> {
        LogDir::new(&*self.dir)
    }

    pub(crate) fn index(&self) -> &Arc<RwLock<Index>> {
        &self.index
    }

    pub(crate) fn syncer(&self) -> &Arc<Syncer> {
        &self.syncer
    }

    pub(crate) fn failure(&self) -> &Failure {
        &self.failure
    }

    /// Whether a commit takes no waiting for a disk.
    pub(crate) fn can_commit_at_once(&self) -> bool {
        self.active.can_write_at_once()
            && self.options.sync != SyncLevel::Always
            && self.active_len < self.options.segment_bytes
            && !self.syncer.is_syncing()
    }

    /// Writes all that is in `batch` at once, has it take effect in its order, and says what became
    /// of it. Looking up a key is up to `find`.
    pub(crate) fn commit(
        &mut self,
        mut batch: Vec<Request>,
        find: &impl Fn(&Index, String) -> EngineFuture<Option<String>>,
    ) -> Outcome {
        let mut outcome = Outcome::default();
        let mut offset = match self.append(&batch) {
            Ok(Appended { offset, missing }) => {
                outcome.missing = missing;
                offset
            }
            // The two halves may fit into two files.
            Err(error) if is_too_long(&error) && batch.len() > 1 => {
                let second = batch.split_off(batch.len() / 2);
                let first_len = batch.len();
                outcome = self.commit(batch, find);
                outcome.extend(first_len, self.commit(second, find));
                return outcome;
            }
            Err(error) => {
                outcome.errors.push((0..batch.len(), error));
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
                _ if !outcome.errors.is_empty() || missing.next_if_eq(&n).is_some() => continue,
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
        if let Some(pause) = &mut self.pause {
            pause.commits = pause.commits.saturating_sub(1);
        }
        if self.active_len >= self.options.segment_bytes {
            match self.roll(self.active.generation + 1) {
                // There may still be room for this write.
                Err(KvsError::StorageFull { .. }) => self.failure.check()?,
                rolled => rolled?,
            }
        }

        let missing = self.find_missing(batch);
        let mut is_missing = missing.iter().copied().peekable();
        let mut bytes = mem::take(&mut self.buffer);
        bytes.clear();
        let mut sequence = self.sequence;
        for (n, Request { key, op }) in batch.iter().enumerate() {
            if matches!(op, Op::Find) || is_missing.next_if_eq(&n).is_some() {
                continue;
            }
            sequence += 1;
            let value = op.value();
            Record {
                sequence,
                key,
                value,
            }
            .encode(self.active.salt, &mut bytes);
        }

        self.write_at_end(&bytes)?;
        let offset = self.active_len;
        let len = offset + bytes.len() as u64;
        // The write may have started a new segment.
        let mut digest = self.digest;
        digest.add_all(&bytes);
        if bytes.capacity() <= MAX_BUFFER {
            self.buffer = bytes;
        }
        self.syncer.note(End {
            segment: Arc::clone(&self.active),
            len,
            digest,
        });
        if self.options.sync == SyncLevel::Always {
            self.syncer.sync()?;
        }
        self.active_len = len;
        (self.sequence, self.digest) = (sequence, digest);
        Ok(Appended { offset, missing })
    }

    /// Writes `bytes` after the last record. If the file may not grow, continues in a new segment.
    fn write_at_end(&mut self, bytes: &[u8]) -> Result<()> {
        loop {
            let offset = self.active_len;
            let Err(error) = self.active.write(bytes, offset) else {
                return Ok(());
            };
            // If the file has reached the limit on the size of files, this is that limit.
            let longest = self.active.len();
            // A full disk may have taken a part of the bytes. Cut it off, since the next write must
            // not be followed by records that were refused.
            if self.syncer.cut(&self.active, offset).is_err() {
                return Err(error);
            }
            match &error {
                KvsError::StorageFull { .. } if self.give_up_job() => {}
                KvsError::Io { source, .. } if is_too_long(&error) => {
                    let (len, longest) = (bytes.len() as u64, longest?);
                    if offset == segment::HEADER_LEN || segment::HEADER_LEN + len > longest {
                        let action = format!(
                            "write {len} bytes at once: a file may have at most {longest} (see ulimit -f)"
                        );
                        let source = Arc::clone(source);
                        return Err(KvsError::Io { action, source });
                    }
                    self.roll(self.active.generation + 1)?;
                }
                _ => return Err(error),
            }
        }
    }

    /// Gives up the background job if that frees room on the disk. Returns whether it did.
    fn give_up_job(&mut self) -> bool {
        let job = self.job.clone();
        let has_room_now =
            job.is_some_and(|job| job.lock().give_up(self.dir(), &self.failure.journal));
        if has_room_now {
            self.pause_after_failure();
        }
        has_room_now
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
        self.syncer.sync()?;
        let segment = create(
            self.dir(),
            generation,
            self.sequence,
            self.active.salt,
            self.digest,
            &self.failure,
        )?;
        self.syncer.note_new(&segment);
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
    pub(crate) fn is_untidy(&self) -> bool {
        self.job.is_none()
            && !self.is_damaged
            && !self.is_paused()
            && (self.switch.is_some()
                || self.wants_compaction()
                || self.sealed.values().any(|sealed| sealed.wants_hints))
    }

    fn wants_compaction(&self) -> bool {
        let live = self.index.read().live_bytes();
        // Segments of format 1 are rewritten once, so that opening need not read them each time.
        self.dead_bytes() >= self.options.max_dead_bytes(live, self.compacted)
            || self.has_unproven()
    }

    /// Returns whether there is a segment whose records nothing proves.
    fn has_unproven(&self) -> bool {
        self.sealed.values().any(|sealed| !sealed.is_proven)
    }

    fn is_paused(&self) -> bool {
        let is_over = |pause: &Pause| pause.commits == 0 || pause.until <= Instant::now();
        self.pause.as_ref().is_some_and(|pause| !is_over(pause))
    }

    /// Returns whether the disk has room for a file of `bytes` bytes and for the writes meanwhile.
    /// If that is unknown, returns true.
    fn has_room_for(&self, bytes: u64) -> bool {
        let needed = bytes.saturating_add(self.options.reserved_bytes());
        self.dir().free_bytes().is_none_or(|free| free >= needed)
    }

    /// Delays the next background job, by a longer time for each failure in a row.
    fn pause_after_failure(&mut self) {
        self.failed_jobs += 1;
        self.pause = Some(Pause::of(1 << self.failed_jobs.min(16), self.failed_jobs));
    }

    /// Has what was done in the background take effect, and says what is to be done there next.
    pub(crate) fn tidy(&mut self, done: Option<Result<()>>) -> Option<Job> {
        let finished = match done {
            Some(result) => self.finish(result),
            None => Ok(false),
        };
        if self.failure.check().is_err() {
            return None;
        }
        let is_synced = match finished {
            Ok(is_synced) => is_synced,
            Err(error) => {
                self.pause_after_failure();
                self.warn_once(&error);
                return None;
            }
        };
        if self.job.is_some() || self.is_damaged || self.is_paused() {
            return None;
        }
        match self.next_work(is_synced) {
            Ok(work) => {
                self.job = work.map(|work| Arc::new(Mutex::new(work)));
                self.job.clone()
            }
            Err(error) => {
                self.pause_after_failure();
                self.warn_once(&error);
                None
            }
        }
    }

    fn warn_once(&mut self, reason: &dyn fmt::Display) {
        if !mem::replace(&mut self.has_warned, true) {
            self.failure.journal.warn(format_args!(
                "cannot compact for now, and will try again: {reason}"
            ));
        }
    }

    /// Applies the result of the background job. Returns whether the job was a sync.
    fn finish(&mut self, result: Result<()>) -> Result<bool> {
        let Some(job) = self.job.take() else {
            return Ok(false);
        };
        let work = mem::replace(&mut *job.lock(), Work::GivenUp);
        match work {
            Work::Sync => return result.map(|()| true),
            Work::Hints(writer) => {
                if let Err(error) = result.and_then(|()| writer.publish(self.dir())) {
                    self.failure
                        .journal
                        .warn(format_args!("continuing without hints: {error}"));
                    work::remove_hints(self.dir(), &writer, &self.failure.journal);
                }
            }
            Work::Compaction(compaction) => match result {
                Ok(()) => self.publish_compaction(compaction)?,
                Err(error) => {
                    compaction.abandon(self.dir(), &self.failure.journal);
                    return self.fail_compaction(error);
                }
            },
            Work::Switch(switch) => match result {
                Ok(()) => self.finish_compaction(&switch),
                Err(error) => {
                    self.switch = Some(switch);
                    return self.fail_compaction(error);
                }
            },
            Work::GivenUp => {}
        }
        Ok(false)
    }

    fn fail_compaction(&mut self, error: KvsError) -> Result<bool> {
        if let KvsError::Damaged { .. } = error {
            self.failure.journal.warn(format_args!(
                "no more compaction until this is repaired: {error}"
            ));
            self.is_damaged = true;
            return Ok(false);
        }
        Err(error)
    }

    fn next_work(&mut self, is_synced: bool) -> Result<Option<Work>> {
        self.pause = None;
        if let Some(switch) = self.switch.take() {
            return Ok(Some(Work::Switch(switch)));
        }
        if !self.wants_compaction() {
            return Ok(self.start_hints().map(Work::Hints));
        }
        let live = self.index.read().live_bytes();
        // The output, and the new active segment.
        if !self.has_room_for(live + 2 * segment::HEADER_LEN) {
            self.pause = Some(Pause::for_room());
            let dir = self.dir().path();
            let reason = format!("{dir:?} has no room for a copy of the {live} live bytes");
            self.warn_once(&reason);
            return Ok(None);
        }
        match is_synced {
            true => self.start_compaction().map(Work::Compaction).map(Some),
            false => Ok(Some(Work::Sync)),
        }
    }

    fn start_compaction(&mut self) -> Result<Compaction> {
        // The output comes between what it replaces and what is written meanwhile.
        let generation = self.active.generation + 1;
        let upto = self.sequence;
        let origin = Origin::Compacted { upto };
        let output = Segment::create(self.dir(), generation, origin, self.active.salt)?;
        let rolled = self.roll(generation + 1);
        let inputs = self.sealed.values();
        let inputs = inputs.map(|sealed| (Arc::clone(&sealed.segment), sealed.len));
        let failure = self.failure.clone();
        let compaction = Compaction::new(inputs.collect(), Arc::new(output), failure);
        match rolled {
            Ok(()) => Ok(compaction),
            Err(error) => {
                compaction.abandon(self.dir(), &self.failure.journal);
                Err(error)
            }
        }
    }

    /// Replaces everything that was sealed before a compaction by its output, on the disk. Readers
    /// follow in the background.
    fn publish_compaction(&mut self, compaction: Compaction) -> Result<()> {
        let (output, len, digest) = compaction.output();
        // What was left out is dead because of newer writes. A power cut that took those would
        // take the key with them.
        let published = self.syncer.sync();
        if let Err(error) = published.and_then(|()| publish(self.dir(), &output, &self.failure)) {
            compaction.remove_unpublished(self.dir(), &self.failure.journal);
            return Err(error);
        }
        self.index.write().add_segment(Arc::clone(&output));
        self.switch = Some(Switch::new(output, len, digest));
        Ok(())
    }

    fn finish_compaction(&mut self, switch: &Switch) {
        let (segment, len, digest) = switch.output();
        self.compacted = Some(Instant::now());
        self.failed_jobs = 0;
        self.has_warned = false;
        self.replace_inputs(Sealed {
            segment,
            len,
            digest,
            is_proven: true,
            wants_hints: true,
        });
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
            let removed = self
                .dir()
                .remove(&names::segment(generation))
                .and_then(|()| self.dir().remove(&names::hints(generation)));
            if let Err(error) = removed {
                self.failure.journal.warn(format_args!(
                    "a replaced file stays until the store is opened again: {error}"
                ));
            }
        }
        if let Err(error) = self.dir().sync() {
            self.failure.journal.warn(format_args!(
                "replaced files may come back until the store is opened again: {error}"
            ));
        }
        let freed = before.saturating_sub(self.dead_bytes());
        let line = format_args!("compaction of {:?} freed {freed} bytes", self.dir().path());
        self.failure.journal.note(Level::Info, line);
    }

    /// Begins the hints of a sealed segment that has none.
    fn start_hints(&mut self) -> Option<hints::Writer> {
        let mut without = self.sealed.values().filter(|sealed| sealed.wants_hints);
        let sealed = without.next()?;
        let (generation, len) = (sealed.segment.generation, sealed.len);
        // Hints are at most as long as their segment.
        if !self.has_room_for(len) {
            self.pause = Some(Pause::for_room());
            return None;
        }
        let sealed = self.sealed.get_mut(&generation)?;
        sealed.wants_hints = false;
        let segment = Arc::clone(&sealed.segment);
        hints::Writer::new(self.dir(), segment, len)
            .inspect_err(|error| {
                let line = format_args!("continuing without hints: {error}");
                self.failure.journal.warn(line);
            })
            .ok()
    }

    /// Gives up the background job and syncs everything. Also writes a checkpoint for the next
    /// opening of the log, if the log has grown enough since the last one.
    pub(crate) fn close(&mut self) {
        if let Some(job) = self.job.take() {
            let mut work = job.lock();
            work.give_up(self.dir(), &self.failure.journal);
            if let Work::Switch(switch) = mem::replace(&mut *work, Work::GivenUp) {
                self.switch = Some(switch);
            }
        }
        let result = self.seal_for_checkpoint();
        // The log lines have the failure, and there is no caller to return it to.
        if self.syncer.sync_with_watermark().is_err() {
            return;
        }
        let result = result.and_then(|is_sealed| match is_sealed {
            true => self.write_checkpoint(),
            false => Ok(()),
        });
        if let Err(error) = result {
            let line = format_args!("continuing without {}: {error}", names::CHECKPOINT);
            self.failure.journal.warn(line);
        }
    }

    /// Returns whether a checkpoint is to be written. It covers the sealed segments, because the header
    /// of the next segment proves what they are. So this seals the active one if it is a considerable
    /// part of the log. A short one is not sealed: a store that is opened often would have a segment,
    /// and a descriptor, for each time.
    fn seal_for_checkpoint(&mut self) -> Result<bool> {
        // No checkpoint if readers have not yet followed a compaction to its output, if a
        // compaction has found damage, which opening the log should find as well, or if there is a
        // segment of format 1, whose records nothing proves.
        if self.switch.is_some() || self.is_damaged || self.has_unproven() {
            return Ok(false);
        }
        let worth_it = self.options.step_bytes() as u64;
        let sealed: u64 = self.sealed.values().map(|sealed| sealed.len).sum();
        let written = self.active_len - self.active.start;
        let seals = written >= worth_it.max(sealed / 16);
        let uncovered = sealed + if seals { written } else { 0 } - self.covered;
        // A checkpoint is shorter than the live bytes. It must not take the last room on the disk.
        if uncovered < worth_it || !self.has_room_for(self.index.read().live_bytes()) {
            return Ok(false);
        }
        if seals {
            self.roll(self.active.generation + 1)?;
        }
        Ok(true)
    }

    /// Writes a checkpoint of the sealed segments.
    fn write_checkpoint(&self) -> Result<()> {
        let segments = self.sealed.iter();
        let segments = segments.map(|(n, sealed)| (*n, (sealed.len, sealed.digest)));
        let covered = Checkpoint {
            salt: self.active.salt,
            sequence: match self.active.origin {
                Origin::Written { after } | Origin::Compacted { upto: after } => after,
            },
            segments: segments.collect(),
        };
        covered.write(self.dir(), &self.index.read())
    }

    pub(crate) fn figures(&self) -> Figures {
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

/// Returns whether a write has failed because of a limit on the size of files.
fn is_too_long(error: &KvsError) -> bool {
    matches!(error, KvsError::Io { source, .. } if source.kind() == io::ErrorKind::FileTooLarge)
}

/// How long background jobs wait before they try again: a number of commits or a time, whichever
/// ends first. Many commits end it early, since a full disk may have room again at any moment.
#[derive(Debug)]
struct Pause {
    commits: u32,
    until: Instant,
}

impl Pause {
    fn of(commits: u32, seconds: u32) -> Pause {
        const LONGEST: u32 = 60;
        let time = Duration::from_secs(seconds.min(LONGEST).into());
        Pause {
            commits,
            until: Instant::now() + time,
        }
    }

    /// Returns the pause before the next check of the free room, which costs no more than a write.
    fn for_room() -> Pause {
        Pause::of(64, 1)
    }
}

/// Creates the next active segment. It follows the write `after`, and a segment whose digest is
/// `before`.
fn create(
    dir: LogDir<'_>,
    generation: Generation,
    after: u64,
    salt: Salt,
    before: Digest,
    failure: &Failure,
) -> Result<Arc<Segment>> {
    let segment = Segment::create(dir, generation, Origin::Written { after }, salt)?;
    let begin = || {
        segment.complete(segment::HEADER_LEN, before)?;
        // After a failed sync it is unknown what is on the disk, and another sync would not help.
        segment.sync().inspect_err(|error| failure.set(error))?;
        publish(dir, &segment, failure)
    };
    if let Err(error) = begin() {
        // On a full disk even an empty file may take room. A published segment has another name, so
        // this does not remove it.
        let _ = dir.discard(&names::segment(generation));
        return Err(error);
    }
    Ok(Arc::new(segment))
}

/// Makes a segment that is complete and on the disk a part of the log.
fn publish(dir: LogDir<'_>, segment: &Segment, failure: &Failure) -> Result<()> {
    segment.publish(dir)?;
    dir.sync().inspect_err(|error| failure.set(error))
}
