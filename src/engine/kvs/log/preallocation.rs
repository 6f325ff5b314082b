//! Zeros behind the records of the active segment, if each commit syncs.
//!
//! If a file has grown, a sync writes its new length as well, in another place of the disk. For a
//! few records, that takes as long again. So now and then a commit writes zeros behind its records,
//! and the next commits replace them. The idea comes from `PostgreSQL`, which fills a new segment
//! of its log with zeros (`wal_init_zero`).
//!
//! The zeros are cut off before the segment is sealed, and when the store closes. After a kill,
//! [`written_end`](crate::engine::kvs::format::sound::written_end) leaves them out.

use super::end::End;
use super::segments::Segments;
use crate::error::Result;

/// The number of zeros in bytes that are written at once, at most. More zeros would make the
/// slowest of a thousand commits slower, since the next sync writes them to the disk. They are no
/// more than the bytes of records before them, so that the files of a small store stay small.
const ZEROS: u64 = 256 * 1024;

/// A commit of more bytes writes no zeros: they would take longer than the next sync saves.
const SHORT: u64 = 32 * 1024;

impl Segments {
    /// Writes zeros behind `end`, which a commit of `bytes` bytes has reached, unless there are
    /// some or the next commits will not need them.
    pub(super) fn preallocate(&mut self, end: &End, bytes: u64) {
        if bytes > SHORT || end.len <= self.preallocated {
            return;
        }
        let left = self.max_len.saturating_sub(end.len);
        let zeros = vec![0; ZEROS.min(end.record_bytes()).min(left) as usize];
        // If this fails, the next sync takes longer, and nothing is wrong. Some of the zeros may be
        // there even so.
        let _ = end.segment.write(&zeros, end.len);
        self.preallocated = end.len + zeros.len() as u64;
    }

    /// Cuts off the zeros behind the last record, durably.
    pub(super) fn cut_preallocated(&mut self) -> Result<()> {
        self.failure.check()?;
        if self.preallocated > self.end.len {
            self.cut()?;
        }
        Ok(())
    }

    /// Cuts off everything behind the last record, durably.
    pub(super) fn cut(&mut self) -> Result<()> {
        self.preallocated = 0;
        self.syncer.cut(&self.end.segment, self.end.len)
    }
}
