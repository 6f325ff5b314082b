//! The end of a segment.

use std::sync::Arc;

use crate::engine::kvs::format::record::Digest;
use crate::engine::kvs::format::segment::{HEADER_LEN, Segment};

/// The end of a segment: its length, and the digest of all records before that.
#[derive(Debug, Clone)]
pub(crate) struct End {
    pub(crate) segment: Arc<Segment>,
    pub(crate) len: u64,
    pub(crate) digest: Digest,
}

impl End {
    /// Returns the end of a segment that has no records yet.
    pub(crate) fn of_new(segment: Arc<Segment>) -> End {
        End {
            segment,
            len: HEADER_LEN,
            digest: Digest::default(),
        }
    }

    /// Returns the number of bytes of all records.
    pub(crate) fn record_bytes(&self) -> u64 {
        self.len - self.segment.start
    }
}
