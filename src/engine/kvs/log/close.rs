//! Closing the log: the last sync, and a checkpoint for the next opening.

use super::end::End;
use super::segments::Segments;
use crate::engine::kvs::format::names;
use crate::engine::kvs::index::checkpoint::{Checkpoint, Covered};
use crate::error::Result;

impl Segments {
    /// Syncs everything. If `may_checkpoint` and if the log has grown enough since the last
    /// checkpoint, writes another one.
    pub(super) fn close(&mut self, may_checkpoint: bool) {
        self.close_log(may_checkpoint);
        // The next process does not continue them.
        self.discard_hints();
    }

    fn close_log(&mut self, may_checkpoint: bool) {
        let sealed = if may_checkpoint {
            self.seal_for_checkpoint()
        } else {
            Ok(false)
        };
        // A failed sync is in the log lines already, and there is no caller to return it to. The
        // files may lack records that the index has, so there is no checkpoint then.
        if self.cut_preallocated().is_err() || self.syncer.sync_with_watermark().is_err() {
            return;
        }
        let written = sealed.and_then(|is_sealed| {
            if is_sealed {
                self.write_checkpoint()?;
            }
            Ok(())
        });
        if let Err(error) = written {
            let line = format_args!("continuing without {}: {error}", names::CHECKPOINT);
            self.journal().warn(line);
        }
    }

    /// Returns whether a checkpoint is worth its cost.
    ///
    /// A checkpoint covers the sealed segments, because the header of the next segment proves their
    /// contents. So this seals the active one if it is a considerable part of the log. It does not
    /// seal a short one: a store that is opened often would get a segment, and a descriptor, each
    /// time.
    fn seal_for_checkpoint(&mut self) -> Result<bool> {
        if self.has_unproven() {
            return Ok(false);
        }
        let worth_it = self.options.step_bytes() as u64;
        let sealed: u64 = self.sealed.values().map(|sealed| sealed.end.len).sum();
        let written = self.end.record_bytes();
        let seals = written >= worth_it.max(sealed / 16);
        let uncovered = sealed + if seals { written } else { 0 } - self.covered;
        // A checkpoint is shorter than the live bytes. It must not take the last room on the disk.
        if uncovered < worth_it || !self.has_room_for(self.live_bytes()) {
            return Ok(false);
        }
        if seals {
            self.roll()?;
        }
        Ok(true)
    }

    /// Writes a checkpoint of the sealed segments.
    fn write_checkpoint(&self) -> Result<()> {
        let segments = self.sealed.iter().map(|(generation, sealed)| {
            let End { len, digest, .. } = sealed.end;
            (*generation, Covered { len, digest })
        });
        let checkpoint = Checkpoint {
            salt: self.salt(),
            sequence: self.end.segment.origin.before_first(),
            segments: segments.collect(),
        };
        checkpoint.write(self.dir(), &self.index.read())
    }
}
