//! Room for the next records of the active segment, at [`SyncLevel::Always`].
//!
//! If a file has grown, a sync writes its new length as well, in another place of the disk. For a few
//! records, that takes as long again. So now and then a commit writes zeros behind its records, and
//! the next commits replace them. The idea comes from `PostgreSQL`, which fills a new segment of its
//! log with zeros (`wal_init_zero`).
//!
//! The zeros are cut off before the segment is sealed, and when the store closes. After a crash,
//! [`is_room`](crate::engine::kvs::format::sound::is_room) recognizes them.

use super::end::End;
use super::segments::Segments;
use crate::engine::SyncLevel;
use crate::error::Result;

/// The number of zeros in bytes that are written at once, at most. There are never more than bytes
/// of records before them, so that the files of a small store stay small.
const ROOM: u64 = 1024 * 1024;

/// A commit of more bytes makes no room: writing as many zeros would take longer than the length.
const SHORT: u64 = 32 * 1024;

impl Segments {
    /// Writes zeros behind `end`, which a commit of `bytes` bytes has reached, if there is no room
    /// there and the next commits need it.
    pub(super) fn make_room(&mut self, end: &End, bytes: u64) {
        let is_needed = self.options.sync == SyncLevel::Always && bytes <= SHORT;
        if !is_needed || end.len <= self.room {
            return;
        }
        let zeros = vec![0; ROOM.min(end.record_bytes()) as usize];
        // Without room, the next sync takes longer, and nothing is wrong. Some of the zeros may be
        // there even so.
        let _ = end.segment.write(&zeros, end.len);
        self.room = end.len + zeros.len() as u64;
    }

    /// Cuts off the zeros behind the last record, durably.
    pub(super) fn cut_room(&mut self) -> Result<()> {
        if self.room > self.end.len {
            self.cut()?;
        }
        Ok(())
    }

    /// Cuts off everything behind the last record, durably.
    pub(super) fn cut(&mut self) -> Result<()> {
        self.room = 0;
        self.syncer.cut(&self.end.segment, self.end.len)
    }
}
