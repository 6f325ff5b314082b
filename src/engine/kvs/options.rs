//! The settings that a store can be opened with.

use std::time::{Duration, Instant};

use crate::engine::SyncLevel;

const MIB: u64 = 1024 * 1024;

/// The settings of a [`KvStore`](crate::KvStore), with the defaults of
/// [`KvStore::open`](crate::KvStore::open).
#[derive(Debug, Clone)]
pub struct KvStoreOptions {
    pub(crate) sync: SyncLevel,
    pub(crate) segment_bytes: Option<u64>,
    pub(crate) dead_bytes: Option<u64>,
    pub(crate) cache_bytes: u64,
}

impl Default for KvStoreOptions {
    fn default() -> KvStoreOptions {
        KvStoreOptions {
            sync: SyncLevel::default(),
            segment_bytes: None,
            dead_bytes: None,
            cache_bytes: 64 * MIB,
        }
    }
}

impl KvStoreOptions {
    /// Sets the moment at which a write completes. The default is [`SyncLevel::EverySec`].
    #[must_use]
    pub fn sync(mut self, level: SyncLevel) -> KvStoreOptions {
        self.sync = level;
        self
    }

    /// Sets the size in bytes after which the log continues in a new segment.
    ///
    /// The default is 64 MiB, or a 64th of the bytes that are alive if that is more. So the number
    /// of segments, and of open descriptors, grows slowly.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> KvStoreOptions {
        self.segment_bytes = Some(bytes);
        self
    }

    /// Sets the number of dead bytes, of older values and removed keys, below which compaction is
    /// not worth its syncs. It begins when that many bytes are dead, and half as many as are alive.
    ///
    /// The default follows the size of the store: 8 times the bytes that are alive, but at least
    /// 8 MiB and at most 64 MiB. Within ten seconds of the last compaction it is 128 MiB.
    #[must_use]
    pub fn dead_bytes(mut self, bytes: u64) -> KvStoreOptions {
        // With no dead bytes, compaction would copy the same records without end.
        self.dead_bytes = Some(bytes.max(1));
        self
    }

    /// Sets the memory in bytes for values that were used lately, of up to 16 KiB each. The default
    /// is 64 MiB.
    ///
    /// The system has these values in memory, too, but asking it takes most of the time of a read.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> KvStoreOptions {
        self.cache_bytes = bytes;
        self
    }

    /// Returns the size in bytes of a full segment if `live` bytes are alive.
    pub(crate) fn max_segment_bytes(&self, live: u64) -> u64 {
        let default = (live / 64).max(64 * MIB);
        self.segment_bytes.unwrap_or(default)
    }

    /// Returns the number of dead bytes at which compaction begins if `live` bytes are alive and
    /// the last compaction ended at the given time.
    pub(crate) fn max_dead_bytes(&self, live: u64, compacted: Option<Instant>) -> u64 {
        // Each compaction syncs a few times, and writers wait for that. Clients that write the same
        // few keys as fast as they can would wait again and again.
        const SELDOM: Duration = Duration::from_secs(10);
        let is_recent = compacted.is_some_and(|at| at.elapsed() < SELDOM);
        let worth_it = match self.dead_bytes {
            Some(bytes) => bytes,
            None if is_recent => 128 * MIB,
            None => live.saturating_mul(8).clamp(8 * MIB, 64 * MIB),
        };
        // So a compaction frees a third of the log, or more. While it runs, the log and its hints
        // do not grow to more than two and a half times the live bytes.
        worth_it.max(live / 2)
    }

    /// Returns the number of bytes on the disk that background jobs leave for writes.
    pub(crate) fn reserved_bytes(&self) -> u64 {
        4 * self.step_bytes() as u64
    }

    /// Returns the number of bytes that a background job reads in one step. A write that arrives
    /// during the step may wait that long.
    pub(crate) fn step_bytes(&self) -> usize {
        (self.max_segment_bytes(0) / 64).clamp(1, MIB) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_store_of_a_terabyte_that_only_grows_has_fewer_segments_than_descriptors() {
        let options = KvStoreOptions::default();
        let (mut live, mut segments) = (0, 0);
        while live < 1 << 40 {
            live += options.max_segment_bytes(live);
            segments += 1;
        }
        assert!(segments < 450, "{segments}");
    }
}
