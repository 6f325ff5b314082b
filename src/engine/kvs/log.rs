//! The log: writes go to its end, compaction takes from its beginning.
//!
//! Segments are read in the order of their generations, and of two records of one key the later
//! one counts. Only the newest segment is written to; the ones before it are sealed.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use futures::sync::oneshot;
use log::{error, info, warn};

use super::KvStoreOptions;
use super::compaction::Compaction;
use super::hints;
use super::index::{Index, Location};
use super::record::{Record, Salt};
use super::recovery::{Recovered, Sealed};
use super::segment::{self, Generation, Origin, Segment};
use super::unsynced::Unsynced;
use super::work::Work;
use crate::engine::files::Directory;
use crate::engine::{EngineFuture, SyncLevel};
use crate::error::{KvsError, Result};
use crate::sync::RwLock;

/// What waits for the writer's turn.
#[derive(Debug)]
pub(super) enum Request {
    Write {
        key: String,
        /// `None` to remove the key.
        value: Option<String>,
        done: oneshot::Sender<EngineFuture<()>>,
    },
    /// To look a key up after the writes before this one, and before those after it.
    Find {
        key: String,
        found: oneshot::Sender<EngineFuture<Option<String>>>,
    },
}

impl Request {
    /// Roughly the bytes that it puts into the log.
    pub(super) fn len(&self) -> usize {
        match self {
            Request::Write { key, value, .. } => key.len() + value.as_ref().map_or(0, String::len),
            Request::Find { .. } => 0,
        }
    }
}

/// What became of a request, for whoever waits for it.
enum Answer {
    Done(oneshot::Sender<EngineFuture<()>>, Result<()>),
    Found(
        oneshot::Sender<EngineFuture<Option<String>>>,
        EngineFuture<Option<String>>,
    ),
}

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
    /// The other segments.
    sealed: BTreeMap<Generation, Sealed>,
    /// The number of the last write.
    sequence: u64,
    /// Whether something is being done in the background.
    is_working: bool,
    /// A compaction that could not go on.
    stalled: Option<Compaction>,
    /// Whether that has been reported.
    is_stalled: bool,
    compacted: Option<Instant>,
    failure: Failure,
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
                let active = create(&*dir, generation, found.sequence, salt, &failure)?;
                found.index.add_segment(Arc::clone(&active));
                (active, segment::HEADER_LEN, segment::HEADER_LEN)
            }
        };
        // Whoever was here before may not have synced it, and what we show must not be lost.
        found.index.keep_bytes(options.cache_bytes);
        let unsynced = Unsynced::new(&*dir, &active, synced, active_len, failure.clone())?;
        Ok(Log {
            dir,
            options,
            index: Arc::new(RwLock::new(found.index)),
            unsynced: Arc::new(unsynced),
            active,
            active_len,
            sealed: found.sealed,
            sequence: found.sequence,
            is_working: false,
            stalled: None,
            is_stalled: false,
            compacted: None,
            failure,
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
        self.options.sync != SyncLevel::Always
            && self.active_len < self.options.segment_bytes
            && !self.unsynced.is_syncing()
    }

    /// Writes all that is in `batch` at once, has it take effect in its order, and tells everyone
    /// who waits for it. Looking up a key is up to `find`.
    pub(super) fn commit(
        &mut self,
        batch: Vec<Request>,
        find: impl Fn(&Index, String) -> EngineFuture<Option<String>>,
    ) {
        let locations = self
            .append(&batch)
            .unwrap_or_else(|error| vec![Err(error); batch.len()]);
        let mut answers = Vec::with_capacity(batch.len());
        let mut index = self.index.write();
        for (request, location) in batch.into_iter().zip(locations) {
            answers.push(match request {
                Request::Write { key, value, done } => {
                    match location {
                        Ok(Some(location)) => index.put(&key, location, value.map(Box::from)),
                        Ok(None) => index.remove(&key),
                        Err(_) => {}
                    }
                    Answer::Done(done, location.map(drop))
                }
                Request::Find { key, found } => Answer::Found(found, find(&index, key)),
            });
        }
        drop(index);
        for answer in answers {
            // Where nobody waits any more, nobody misses it.
            match answer {
                Answer::Done(done, result) => drop(done.send(EngineFuture::done(result))),
                Answer::Found(found, value) => drop(found.send(value)),
            }
        }
    }

    /// For each request of the batch where its record is, if it has one, or what is wrong with it.
    /// An error befell all the writes.
    fn append(&mut self, batch: &[Request]) -> Result<Vec<Result<Option<Location>>>> {
        let is_write = |request: &Request| matches!(request, Request::Write { .. });
        if !batch.iter().any(is_write) {
            return Ok(vec![Ok(None); batch.len()]);
        }
        self.failure.check()?;
        if self.active_len >= self.options.segment_bytes {
            self.roll(self.active.generation + 1)?;
        }

        let mut bytes = Vec::new();
        let mut sequence = self.sequence;
        // Which keys are there according to the batch. The index does not show that yet, and only
        // those who remove one want to know.
        let is_remove = |request: &Request| matches!(request, Request::Write { value: None, .. });
        let has_removes = batch.iter().any(is_remove);
        let mut is_there = HashMap::new();
        let index = self.index.read();
        let locations = batch.iter().map(|request| {
            let Request::Write { key, value, .. } = request else {
                return Ok(None);
            };
            if has_removes {
                let was_there = is_there.insert(key, value.is_some());
                if value.is_none() && !was_there.unwrap_or_else(|| index.get(key).is_some()) {
                    return Err(KvsError::KeyNotFound);
                }
            }
            sequence += 1;
            let start = bytes.len();
            let value = value.as_deref();
            Record {
                sequence,
                key,
                value,
            }
            .encode(self.active.salt, &mut bytes);
            let location = Location {
                offset: self.active_len + start as u64,
                generation: self.active.generation,
                len: (bytes.len() - start) as u32,
            };
            Ok(value.map(|_| location))
        });
        let locations = locations.collect();
        drop(index);

        if let Err(error) = self.active.write(&bytes, self.active_len) {
            // A full disk may have taken a part of it. Cut that off for good: what is written next
            // must not have records behind it that were refused.
            let _ = self.unsynced.cut(&self.active, self.active_len);
            return Err(error);
        }
        let len = self.active_len + bytes.len() as u64;
        self.unsynced.note(&self.active, len);
        if self.options.sync == SyncLevel::Always {
            self.unsynced.sync()?;
        }
        self.active_len = len;
        self.sequence = sequence;
        Ok(locations)
    }

    /// Seals the active segment and goes on in a new one.
    fn roll(&mut self, generation: Generation) -> Result<()> {
        // Whatever the level: a sealed segment with a torn end would count as damage.
        self.unsynced.sync()?;
        let salt = self.active.salt;
        let segment = create(&*self.dir, generation, self.sequence, salt, &self.failure)?;
        self.unsynced.note_new(&segment);
        self.index.write().add_segment(Arc::clone(&segment));
        let sealed = Sealed {
            segment: std::mem::replace(&mut self.active, segment),
            len: std::mem::replace(&mut self.active_len, segment::HEADER_LEN),
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
                if !std::mem::replace(&mut self.is_stalled, true) {
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
        let (output, len) = compaction.output();
        // What was left out is dead because of newer writes. A power cut that took those would
        // take the key with them.
        self.unsynced.sync()?;
        publish(&*self.dir, &output, &self.failure)?;
        self.compacted = Some(Instant::now());
        self.replace_inputs(output, len);
        Ok(())
    }

    /// Puts the output of a compaction in the place of everything that was sealed before it.
    fn replace_inputs(&mut self, segment: Arc<Segment>, len: u64) {
        let before = self.dead_bytes();
        // What was sealed while the compaction ran is newer than its output, and stays.
        let newer = self.sealed.split_off(&segment.generation);
        let inputs = std::mem::replace(&mut self.sealed, newer);
        let output = Sealed {
            segment,
            len,
            wants_hints: true,
        };
        self.sealed.insert(output.segment.generation, output);
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

    pub(super) fn figures(&self) -> Figures {
        Figures {
            dead_bytes: self.dead_bytes(),
            segments: self.sealed.len() + 1,
            compacted: self.compacted,
        }
    }

    /// Bytes of the log that no key needs any more.
    fn dead_bytes(&self) -> u64 {
        let sealed = self.sealed.values().map(|sealed| sealed.len);
        let records = sealed
            .chain([self.active_len])
            .map(|len| len - segment::HEADER_LEN);
        // Forged hints may say that more is alive than there is.
        let all: u64 = records.sum();
        all.saturating_sub(self.index.read().live_bytes())
    }
}

/// Makes the segment that writing goes on in, after the write `after`.
fn create(
    dir: &dyn Directory,
    generation: Generation,
    after: u64,
    salt: Salt,
    failure: &Failure,
) -> Result<Arc<Segment>> {
    let segment = Segment::create(dir, generation, Origin::Written { after }, salt)?;
    segment.complete(segment::HEADER_LEN)?;
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
