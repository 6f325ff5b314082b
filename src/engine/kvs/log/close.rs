//! Closing a log: the last sync, and a checkpoint for the next opening.

use std::mem;

use super::Log;
use super::job::Work;
use crate::engine::kvs::format::names;
use crate::engine::kvs::format::segment::Origin;
use crate::engine::kvs::index::checkpoint::Checkpoint;
use crate::error::Result;

impl Log {
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
}
