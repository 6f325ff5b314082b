//! The log: writes go to its end, compaction takes from its beginning.
//!
//! Segments are read in the order of their generations, and of two records of one key the later
//! one counts. Only the newest segment is written to; the ones before it are sealed.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use futures::sync::oneshot;
use log::{error, info, warn};
use parking_lot::{Mutex, RwLock};

use super::KvStoreOptions;
use super::compaction::Compaction;
use super::index::{Index, Location};
use super::record::Record;
use super::segment::{self, Found, Generation, Listing, Scanner, Segment};
use crate::engine::SyncLevel;
use crate::error::{KvsError, Result};

/// Dead bytes below which a compaction is not worth its syncs.
const MIN_DEAD_BYTES: u64 = 1024 * 1024;

/// A write that waits for its turn.
#[derive(Debug)]
pub(super) struct Write {
    pub(super) key: String,
    /// `None` to remove the key.
    pub(super) value: Option<String>,
    pub(super) done: oneshot::Sender<Result<()>>,
}

/// The end of the log, and whatever else only the writer knows. There is one writer at a time: the
/// thread that owns this.
#[derive(Debug)]
pub(super) struct Log {
    dir: PathBuf,
    options: KvStoreOptions,
    /// What readers see. Only the writer changes it, and only for what is in the log already.
    index: Arc<RwLock<Index>>,
    /// The segment with bytes that the next tick of [`SyncLevel::EverySec`] has to sync.
    unsynced: Arc<Mutex<Option<Arc<Segment>>>>,
    active: Arc<Segment>,
    active_len: u64,
    /// The other segments, with their lengths.
    sealed: BTreeMap<Generation, (Arc<Segment>, u64)>,
    /// The number of the last write.
    sequence: u64,
    compaction: Option<Compaction>,
    /// Whether the last step of the compaction failed, and has been reported.
    is_compaction_stalled: bool,
    failure: Failure,
}

impl Log {
    /// Opens the log in `dir`, which may be empty, and reads where everything is.
    pub(super) fn open(dir: &Path, options: KvStoreOptions) -> Result<Log> {
        let Listing {
            generations,
            unfinished,
        } = Listing::of(dir)?;

        let mut segments = Vec::new();
        let mut replaced = 0;
        for generation in generations {
            let (segment, replaces) = Segment::open(dir, generation)?;
            replaced = replaced.max(replaces);
            segments.push(Arc::new(segment));
        }
        // A compaction that was cut short after its rename: the old segments are still there.
        let split = segments.partition_point(|segment| segment.generation < replaced);
        let leftovers = segments.drain(..split).map(|segment| segment.path.clone());
        let leftovers: Vec<_> = leftovers.chain(unfinished).collect();

        let mut index = Index::default();
        let mut sealed = BTreeMap::new();
        let mut sequence = 0;
        let newest = segments.last().map(|segment| segment.generation);
        for segment in segments {
            let torn_tail_allowed = Some(segment.generation) == newest;
            let len = replay(&segment, torn_tail_allowed, &mut index, &mut sequence)?;
            index.add_segment(Arc::clone(&segment));
            sealed.insert(segment.generation, (segment, len));
        }

        // Now that all is known to be sound, the directory may be changed.
        for path in leftovers {
            segment::remove(&path)?;
        }
        let (active, active_len) = match sealed.pop_last() {
            Some((_, (segment, len))) => {
                if len < segment.len()? {
                    segment.truncate(len)?;
                }
                (segment, len)
            }
            None => {
                let segment = Arc::new(Segment::create(dir, 1)?);
                segment.write_header(0)?;
                segment.publish()?;
                index.add_segment(Arc::clone(&segment));
                (segment, segment::HEADER_LEN)
            }
        };
        Ok(Log {
            dir: dir.to_owned(),
            options,
            index: Arc::new(RwLock::new(index)),
            unsynced: Arc::default(),
            active,
            active_len,
            sealed,
            sequence,
            compaction: None,
            is_compaction_stalled: false,
            failure: Failure::default(),
        })
    }

    pub(super) fn index(&self) -> &Arc<RwLock<Index>> {
        &self.index
    }

    pub(super) fn unsynced(&self) -> &Arc<Mutex<Option<Arc<Segment>>>> {
        &self.unsynced
    }

    pub(super) fn failure(&self) -> &Failure {
        &self.failure
    }

    /// Writes all of `batch` at once, in its order, and tells everyone who waits for it.
    pub(super) fn commit(&mut self, batch: Vec<Write>) {
        match self.append(&batch) {
            Ok(results) => {
                for (write, result) in batch.into_iter().zip(results) {
                    let _ = write.done.send(result);
                }
            }
            Err(error) => {
                for write in batch {
                    let _ = write.done.send(Err(error.clone()));
                }
            }
        }
    }

    /// One result for each write, or the one error that befell them all.
    fn append(&mut self, batch: &[Write]) -> Result<Vec<Result<()>>> {
        if batch.is_empty() {
            return Ok(Vec::new());
        }
        self.failure.check()?;
        if self.active_len >= self.options.segment_bytes {
            self.roll(self.active.generation + 1)?;
        }

        let mut bytes = Vec::new();
        let mut sequence = self.sequence;
        // What the batch has done so far, which the index does not show yet.
        let mut changes: HashMap<&str, Option<Location>> = HashMap::new();
        let index = self.index.read();
        let results = batch.iter().map(|Write { key, value, .. }| {
            let known = changes.get(key.as_str()).copied();
            if value.is_none() && known.unwrap_or_else(|| index.get(key)).is_none() {
                return Err(KvsError::KeyNotFound);
            }
            sequence += 1;
            let start = bytes.len();
            let value = value.as_deref();
            Record {
                sequence,
                key,
                value,
            }
            .encode(&mut bytes);
            let location = Location {
                offset: self.active_len + start as u64,
                generation: self.active.generation,
                len: (bytes.len() - start) as u32,
            };
            changes.insert(key, value.map(|_| location));
            Ok(())
        });
        let results = results.collect();
        drop(index);

        if let Err(error) = self.active.write(&bytes, self.active_len) {
            // A full disk may have taken a part of it. Cut that off, so that the log stays whole.
            if let Err(error) = self.active.truncate(self.active_len) {
                self.failure.set(error);
            }
            return Err(error);
        }
        if self.options.sync == SyncLevel::Always {
            self.sync()?;
        }
        self.active_len += bytes.len() as u64;
        self.sequence = sequence;
        if self.options.sync == SyncLevel::EverySec {
            *self.unsynced.lock() = Some(Arc::clone(&self.active));
        }
        let mut index = self.index.write();
        for (key, location) in changes {
            index.put(key, location);
        }
        Ok(results)
    }

    /// Seals the active segment and goes on in a new one.
    fn roll(&mut self, generation: Generation) -> Result<()> {
        // Whatever the level: a sealed segment with a torn end would count as damage.
        self.sync_active()?;
        let segment = Arc::new(Segment::create(&self.dir, generation)?);
        self.publish(&segment, 0)?;
        self.index.write().add_segment(Arc::clone(&segment));
        let sealed = std::mem::replace(&mut self.active, segment);
        let len = std::mem::replace(&mut self.active_len, segment::HEADER_LEN);
        self.sealed.insert(sealed.generation, (sealed, len));
        Ok(())
    }

    /// Makes a segment a part of the log, and with `replaces` puts it in the place of older ones.
    fn publish(&self, segment: &Segment, replaces: Generation) -> Result<()> {
        segment.write_header(replaces)?;
        segment
            .publish()
            .inspect_err(|error| self.failure.set(error))
    }

    /// Waits until the active segment is on the disk, unless nobody asked for that.
    pub(super) fn sync(&mut self) -> Result<()> {
        if self.options.sync == SyncLevel::Never {
            return Ok(());
        }
        self.sync_active()
    }

    fn sync_active(&self) -> Result<()> {
        // After a failed sync nobody can tell what is on the disk, so there is no second try.
        let synced = self.active.sync();
        synced.inspect_err(|error| self.failure.set(error))
    }

    /// Works a little on a compaction, and starts one where enough of the log is dead. Says
    /// whether there is more to do at once.
    pub(super) fn compact(&mut self) -> bool {
        if self.failure.check().is_err() {
            return false;
        }
        let step = self.compaction_step();
        let was_stalled = std::mem::replace(&mut self.is_compaction_stalled, step.is_err());
        if let (Err(error), false) = (&step, was_stalled) {
            warn!("compaction cannot go on, and tries again with the next writes: {error}");
        }
        step.unwrap_or(false)
    }

    fn compaction_step(&mut self) -> Result<bool> {
        let Some(compaction) = &mut self.compaction else {
            if self.dead_bytes() < self.index.read().live_bytes().max(MIN_DEAD_BYTES) {
                return Ok(false);
            }
            // The output comes between what it replaces and what is written meanwhile.
            let generation = self.active.generation + 1;
            let output = Arc::new(Segment::create(&self.dir, generation)?);
            self.roll(generation + 1)?;
            self.index.write().add_segment(Arc::clone(&output));
            let inputs = self.sealed.values().cloned().collect();
            self.compaction = Some(Compaction::new(inputs, output));
            return Ok(true);
        };
        if compaction.step(&self.index)? {
            return Ok(true);
        }
        let (output, len) = compaction.output();
        self.publish(&output, output.generation)?;
        self.compaction = None;
        self.replace_inputs(output, len);
        Ok(false)
    }

    /// Puts the output of a compaction in the place of everything that was sealed.
    fn replace_inputs(&mut self, output: Arc<Segment>, len: u64) {
        let before = self.dead_bytes();
        // What was sealed while the compaction ran is newer than its output, and stays.
        let newer = self.sealed.split_off(&output.generation);
        let inputs = std::mem::replace(&mut self.sealed, newer);
        self.sealed.insert(output.generation, (output, len));
        for (generation, (segment, _)) in inputs {
            self.index.write().remove_segment(generation);
            if let Err(error) = segment::remove(&segment.path) {
                warn!("a replaced segment stays until the store is opened again: {error}");
            }
        }
        let freed = before - self.dead_bytes();
        info!("compaction of {:?} freed {freed} bytes", self.dir);
    }

    /// Bytes of the log that no key needs any more.
    fn dead_bytes(&self) -> u64 {
        let sealed: u64 = self.sealed.values().map(|(_, len)| len).sum();
        sealed + self.active_len - self.index.read().live_bytes()
    }
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

    fn check(&self) -> Result<()> {
        match self.0.get() {
            Some(reason) => Err(KvsError::EngineStopped {
                reason: reason.clone(),
            }),
            None => Ok(()),
        }
    }
}

/// Notes in `index` what is in `segment`, and says how much of the segment counts: all of it, or,
/// where it may have a torn tail, all up to there.
fn replay(
    segment: &Arc<Segment>,
    torn_tail_allowed: bool,
    index: &mut Index,
    sequence: &mut u64,
) -> Result<u64> {
    let end = segment.len()?;
    let mut scanner = Scanner::new(Arc::clone(segment), end);
    loop {
        match scanner.next() {
            Ok(None) => return Ok(end),
            Ok(Some(Found {
                offset,
                bytes,
                record,
            })) => {
                let location = Location {
                    offset,
                    generation: segment.generation,
                    len: bytes.len() as u32,
                };
                index.put(record.key, record.value.map(|_| location));
                *sequence = record.sequence.max(*sequence);
            }
            Err(KvsError::Damaged { offset, .. })
                if torn_tail_allowed && !segment.any_record_behind(offset, end, *sequence)? =>
            {
                let lost = end - offset;
                warn!(
                    "{:?} ends with a write that was cut short: dropping its last {lost} bytes",
                    segment.path
                );
                return Ok(offset);
            }
            Err(error) => return Err(error),
        }
    }
}
