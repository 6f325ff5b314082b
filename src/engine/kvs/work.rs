//! What is done in the background while writing goes on.

use super::compaction::Compaction;
use super::hints;
use super::index::Index;
use super::unsynced::Unsynced;
use crate::error::Result;
use crate::sync::RwLock;

/// A piece of work that needs no turn of the writer until it is done.
#[derive(Debug)]
pub(super) enum Work {
    /// To have what was written on the disk. A compaction begins with that and would keep the
    /// writers waiting for it.
    Sync,
    Compaction(Compaction),
    Hints(hints::Writer),
}

impl Work {
    /// Goes on with it for about `bytes` bytes, and says whether there is more to do.
    pub(super) fn step(
        &mut self,
        index: &RwLock<Index>,
        unsynced: &Unsynced,
        bytes: usize,
    ) -> Result<bool> {
        match self {
            Work::Sync => unsynced.sync().map(|()| false),
            Work::Compaction(compaction) => compaction.step(index, bytes),
            Work::Hints(writer) => writer.step(bytes),
        }
    }
}
