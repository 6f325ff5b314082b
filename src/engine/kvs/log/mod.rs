//! The log: writes go to its end, compaction takes from its beginning.
//!
//! Segments are read in the order of their generations, and of two records of one key the later
//! one counts. Only the newest segment is written to; the ones before it are sealed.

mod background;
mod batch;
mod close;
mod compaction;
pub(crate) mod failure;
pub(crate) mod job;
mod recovery;
pub(crate) mod syncer;

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use log::Level;

use self::background::Pause;
pub(crate) use self::batch::{Op, Outcome, Request};
use self::compaction::Switch;
use self::failure::Failure;
use self::job::Job;
use self::recovery::{Recovered, Sealed};
use self::syncer::{End, Syncer};

use crate::engine::files::Directory;
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::names::{self, Generation};
use crate::engine::kvs::format::record::Location;
use crate::engine::kvs::format::record::{self, Digest, Record, Salt};
use crate::engine::kvs::format::segment::{self, Origin, Segment};
use crate::engine::kvs::index::Index;
use crate::engine::kvs::journal::Journal;
use crate::engine::kvs::options::KvStoreOptions;
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
        let (active, synced, active_len) = match found.active {
            Some((active, len)) => (active, found.synced, len),
            None => {
                let newest = found.sealed.keys().next_back();
                let generation = newest.map_or(1, |newest| newest + 1);
                let before = mem::take(&mut found.digest);
                let active = create(
                    LogDir::new(&*dir),
                    generation,
                    found.sequence,
                    salt,
                    before,
                    &failure,
                )?;
                found.index.add_segment(Arc::clone(&active));
                (active, segment::HEADER_LEN, segment::HEADER_LEN)
            }
        };
        found.index.keep_bytes(options.cache_bytes);
        // Whoever was here before may not have synced it, and what we show must not be lost.
        let end = End {
            segment: Arc::clone(&active),
            len: active_len,
            digest: found.digest,
        };
        let syncer = Syncer::new(LogDir::new(&*dir), end, synced, failure.clone())?;
        Ok(Log {
            dir,
            options,
            index: Arc::new(RwLock::new(found.index)),
            syncer: Arc::new(syncer),
            active,
            active_len,
            digest: found.digest,
            sealed: found.sealed,
            sequence: found.sequence,
            covered: found.covered,
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
                outcome.append(first_len, self.commit(second, find));
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
                Op::Get => {
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
        if !batch.iter().any(|request| request.op.is_write()) {
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
            if !op.is_write() || is_missing.next_if_eq(&n).is_some() {
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
                Op::Get => {}
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

    /// Returns whether there is a segment whose records nothing proves.
    fn has_unproven(&self) -> bool {
        self.sealed.values().any(|sealed| !sealed.is_proven)
    }

    /// Returns whether the disk has room for a file of `bytes` bytes and for the writes meanwhile.
    /// If that is unknown, returns true.
    fn has_room_for(&self, bytes: u64) -> bool {
        let needed = bytes.saturating_add(self.options.reserved_bytes());
        self.dir().free_bytes().is_none_or(|free| free >= needed)
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
