//! The log: writes go to its end, compaction takes from its beginning.
//!
//! Segments are read in the order of their generations, and of two records of one key the later
//! one counts. Only the newest segment is written to; the ones before it are sealed.
//!
//! A thread that has the [`Log`] is the only writer. It commits batches, and between them it
//! applies the results of background jobs, which run on the pool.

mod background;
mod batch;
mod close;
mod compaction;
mod end;
pub(crate) mod failure;
pub(crate) mod job;
mod preallocation;
mod recovery;
mod removal;
mod replay;
mod segments;
pub(crate) mod syncer;

use std::collections::HashMap;
use std::io;
use std::sync::Arc;
use std::time::Instant;

use self::background::Background;
pub(crate) use self::batch::{Op, Outcome, Request, Requests};
use self::end::End;
use self::failure::Failure;
use self::job::JobHandle;
use self::segments::Segments;
use self::syncer::Syncer;
use crate::engine::files::Directory;
use crate::engine::kvs::format::record::{self, Location};
use crate::engine::kvs::format::segment::HEADER_LEN;
use crate::engine::kvs::index::Index;
use crate::engine::kvs::index::cache::MAX_CACHED_LEN;
use crate::engine::kvs::index::few::FEW;
use crate::engine::kvs::journal::Journal;
use crate::engine::kvs::options::KvStoreOptions;
use crate::engine::{EngineFuture, SyncLevel};
use crate::error::{KvsError, Result};
use crate::sync::RwLock;

/// Reads a key while the writer has the index locked.
type Get<'a> = dyn Fn(&Index, &str) -> EngineFuture<Option<String>> + 'a;

/// Statistics of the log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogStats {
    pub(crate) dead_bytes: u64,
    pub(crate) segments: usize,
    /// The time at which a compaction last took effect.
    pub(crate) compacted: Option<Instant>,
}

/// The log, for its only writer: the thread that owns this.
#[derive(Debug)]
pub(crate) struct Log {
    segments: Segments,
    background: Background,
}

impl Log {
    /// Opens the log in `dir`, which may be empty.
    pub(crate) fn open(
        dir: Arc<dyn Directory>,
        options: KvStoreOptions,
        journal: Journal,
    ) -> Result<Log> {
        Ok(Log {
            segments: Segments::open(dir, options, journal)?,
            background: Background::default(),
        })
    }

    pub(crate) fn index(&self) -> &Arc<RwLock<Index>> {
        &self.segments.index
    }

    pub(crate) fn syncer(&self) -> &Arc<Syncer> {
        &self.segments.syncer
    }

    pub(crate) fn failure(&self) -> &Failure {
        &self.segments.failure
    }

    /// Returns the number of bytes that a background job reads in one step.
    pub(crate) fn step_bytes(&self) -> usize {
        self.segments.options.step_bytes()
    }

    pub(crate) fn stats(&self) -> LogStats {
        LogStats {
            dead_bytes: self.segments.dead_bytes(),
            segments: self.segments.sealed.len() + 1,
            compacted: self.background.compacted(),
        }
    }

    /// Returns whether there is a background job that can start now.
    pub(crate) fn wants_job(&self) -> bool {
        self.background.wants_job(&self.segments)
    }

    /// Applies the result of the background job that has ended, if one has, and starts the next
    /// one. Returns the new job, whose steps the caller takes.
    pub(crate) fn schedule_job(&mut self, ended: Option<Result<()>>) -> Option<JobHandle> {
        self.background.schedule(&mut self.segments, ended)
    }

    /// Gives up the background job and syncs everything. May write a checkpoint, which makes the
    /// next opening faster.
    pub(crate) fn close(&mut self) {
        let may_checkpoint = self.background.stop(&self.segments);
        self.segments.close(may_checkpoint);
    }

    /// Returns whether each commit waits for a sync.
    pub(crate) fn syncs_each_commit(&self) -> bool {
        self.segments.options.sync == SyncLevel::Always
    }

    /// Returns whether a commit need not wait for the disk.
    pub(crate) fn can_commit_at_once(&self) -> bool {
        let Segments {
            syncer,
            end,
            max_len,
            ..
        } = &self.segments;
        // A full segment is sealed first, which syncs it. While a sync runs, the system may keep a
        // write to the same file waiting.
        end.segment.can_write_at_once()
            && !self.syncs_each_commit()
            && end.len < *max_len
            && !syncer.is_syncing()
    }

    /// Commits the requests of `batch` in their order, and returns their results.
    ///
    /// All writes of the batch are appended with one write to the file and, at
    /// [`SyncLevel::Always`], one sync. Only then does the index show them, so readers see nothing
    /// that a refused write or a failed sync could take back.
    pub(crate) fn commit(&mut self, batch: &mut Requests, get: &Get<'_>) -> Outcome {
        let missing = self.find_missing(batch);
        match self.append(batch, &missing) {
            Ok(offset) => self.apply(batch, missing, offset, get),
            // The batch does not fit into a file (see `ulimit -f`), but each half may.
            Err(error) if is_too_long(&error) && batch.len() > 1 => {
                let half = batch.len() / 2;
                let mut outcome = self.commit(&mut batch.filter(|n| n < half), get);
                outcome.append(half, self.commit(&mut batch.filter(|n| n >= half), get));
                outcome
            }
            Err(error) => self.refuse(batch, error, get),
        }
    }

    /// Appends the writes of `batch`, except the removals at the positions `missing`. Returns the
    /// offset of the first record. After an error, none of them takes effect.
    fn append(&mut self, batch: &mut Requests, missing: &[usize]) -> Result<u64> {
        if !batch.has_writes() {
            return Ok(self.segments.end.len);
        }
        self.segments.failure.check()?;
        self.background.count_commit();
        self.roll_if_full()?;

        // One write for the whole batch: each system call takes longer than copying a few records.
        // Few batches have a removal of a key that does not exist, so encoding the others again
        // does not matter.
        let mut kept;
        let batch = if missing.is_empty() {
            batch
        } else {
            kept = batch.filter(|n| missing.binary_search(&n).is_err());
            &mut kept
        };
        let mut sequence = self.segments.sequence;
        let bytes = batch.seal(sequence, self.segments.salt());
        self.write_at_end(bytes)?;

        // The write may have started a new segment, so only now is it known where the records are.
        let offset = self.segments.end.len;
        let mut end = self.segments.end.clone();
        end.len += bytes.len() as u64;
        for (header, record) in record::split(bytes) {
            end.digest.add(record);
            sequence = header.sequence;
        }
        // A sync covers what was noted before it.
        self.segments.syncer.note(end.clone(), bytes.len() as u64);
        if self.syncs_each_commit() {
            self.segments.preallocate(&end, bytes.len() as u64);
            self.segments.syncer.sync()?;
        }
        self.segments.end = end;
        self.segments.sequence = sequence;
        self.segments.add_hints(bytes);
        Ok(offset)
    }

    fn roll_if_full(&mut self) -> Result<()> {
        if self.segments.end.len < self.segments.max_len {
            return Ok(());
        }
        match self.segments.roll() {
            // There is no room for a new segment, but there may still be room for this write.
            Err(KvsError::StorageFull { .. }) => self.segments.failure.check(),
            rolled => rolled,
        }
    }

    /// Writes `bytes` after the last record. If the file may not grow, continues in a new segment.
    fn write_at_end(&mut self, bytes: &[u8]) -> Result<()> {
        loop {
            let End { segment, len, .. } = &self.segments.end;
            let len = *len;
            let Err(error) = segment.write(bytes, len) else {
                return Ok(());
            };
            // If the file has reached the limit on the size of files, this is that limit. So ask
            // before the cut.
            let longest = segment.len();
            // The file may have taken a part of the bytes. The requests fail, so their records must
            // not be found when the store is opened, nor follow a shorter batch that is written
            // here.
            if self.segments.cut().is_err() {
                return Err(error);
            }
            match &error {
                // The disk has room now. Try again.
                KvsError::StorageFull { .. }
                    if self.background.give_up(&self.segments) || self.segments.discard_hints() => {
                }
                KvsError::Io { source, .. } if is_too_long(&error) => {
                    check_fits(bytes.len() as u64, len, longest?, source)?;
                    self.segments.roll()?;
                }
                _ => return Err(error),
            }
        }
    }

    /// Returns the positions of the removals in `batch` whose key will not exist when they are
    /// committed, in ascending order.
    fn find_missing(&self, batch: &Requests) -> Vec<usize> {
        let mut missing = Vec::new();
        if !batch.iter().any(|(_, op)| matches!(op, Op::Remove)) {
            return missing;
        }
        // This tells which keys exist after the requests so far. The index does not show these yet.
        let mut exists = HashMap::new();
        let index = self.segments.index.read();
        for (n, (key, op)) in batch.iter().enumerate() {
            match op {
                Op::Get => {}
                Op::Set(_) => drop(exists.insert(key, true)),
                Op::Remove => {
                    let existed = exists.insert(key, false);
                    if !existed.unwrap_or_else(|| index.location(key).is_some()) {
                        missing.push(n);
                    }
                }
            }
        }
        missing
    }

    /// Applies a batch to the index. Its records are in the log, from `offset` on.
    fn apply(
        &self,
        batch: &Requests,
        missing: Vec<usize>,
        mut offset: u64,
        get: &Get<'_>,
    ) -> Outcome {
        let generation = self.segments.end.segment.generation;
        let mut found = Vec::new();
        let mut is_missing = missing.iter().copied().peekable();
        // Readers see all of the batch or nothing of it.
        let mut index = self.segments.index.write();
        for (n, (key, op)) in batch.iter().enumerate() {
            if n % FEW == 0 && n + 1 < batch.len() {
                index.look_ahead(batch.keys(n));
            }
            if is_missing.next_if_eq(&n).is_some() {
                continue;
            }
            let location = Location {
                offset,
                generation,
                // The longest record has 24 bytes, 64 KiB and 64 MiB.
                len: record::len(key.len(), op.value()) as u32,
            };
            match op {
                Op::Set(len) => {
                    // Checking a long value for UTF-8 would make the readers wait, for nothing.
                    let is_short = len <= MAX_CACHED_LEN;
                    let value = if is_short { batch.value(n) } else { None };
                    index.put(key, location, value);
                }
                Op::Remove => index.remove(key),
                Op::Get => {
                    found.push((n, get(&index, key)));
                    continue;
                }
            }
            offset += u64::from(location.len);
        }
        index.set_end(generation, offset);
        Outcome {
            errors: Vec::new(),
            missing,
            found,
        }
    }

    /// Fails the writes of a batch, and does its reads.
    fn refuse(&self, batch: &Requests, error: KvsError, get: &Get<'_>) -> Outcome {
        let errors = vec![(0..batch.len(), error)];
        let index = self.segments.index.read();
        let requests = batch.iter().enumerate();
        let reads = requests.filter(|(_, (_, op))| !op.is_write());
        Outcome {
            errors,
            missing: Vec::new(),
            found: reads.map(|(n, (key, _))| (n, get(&index, key))).collect(),
        }
    }
}

/// Returns whether a write has failed because of a limit on the size of files.
fn is_too_long(error: &KvsError) -> bool {
    matches!(error, KvsError::Io { source, .. } if source.kind() == io::ErrorKind::FileTooLarge)
}

/// Returns an error unless `len` bytes fit into a new segment. They did not fit into a segment of
/// `end` bytes, because a file may have at most `longest`.
fn check_fits(len: u64, end: u64, longest: u64, source: &Arc<io::Error>) -> Result<()> {
    let was_empty = end == HEADER_LEN;
    if !was_empty && HEADER_LEN + len <= longest {
        return Ok(());
    }
    let action =
        format!("write {len} bytes at once: a file may have at most {longest} (see ulimit -f)");
    let source = Arc::clone(source);
    Err(KvsError::Io { action, source })
}
