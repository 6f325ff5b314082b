//! What is done in the background while writing goes on.

use std::mem;
use std::sync::Arc;

use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::hints;
use crate::engine::kvs::format::scanner::Step;
use crate::engine::kvs::index::Index;
use crate::engine::kvs::journal::Journal;
use crate::engine::kvs::log::compaction::{Compaction, Switch};
use crate::engine::kvs::log::syncer::Syncer;
use crate::error::Result;
use crate::sync::{Mutex, RwLock};

/// A background job. The thread that takes a step holds the lock meanwhile. Between two steps, the
/// writer can give the job up to free its room on the disk.
pub(crate) type Job = Arc<Mutex<Work>>;

/// A piece of work that needs no turn of the writer until it is done.
#[derive(Debug)]
pub(crate) enum Work {
    /// To have what was written on the disk. A compaction begins with that and would keep the
    /// writers waiting for it.
    Sync,
    Compaction(Compaction),
    Switch(Switch),
    Hints(hints::Writer),
    /// The writer has given the job up.
    GivenUp,
}

impl Work {
    /// Goes on with it for about `bytes` bytes, and says whether there is more to do.
    pub(crate) fn step(
        &mut self,
        index: &RwLock<Index>,
        syncer: &Syncer,
        bytes: usize,
    ) -> Result<Step> {
        match self {
            Work::Sync => syncer.sync().map(|()| Step::Done),
            Work::Compaction(compaction) => compaction.step(index, bytes),
            Work::Switch(switch) => switch.step(index, bytes),
            Work::Hints(writer) => writer.step(bytes),
            Work::GivenUp => Ok(Step::Done),
        }
    }

    /// Gives the job up if it takes room on the disk, and frees that room. Returns whether it did.
    pub(crate) fn give_up(&mut self, dir: LogDir<'_>, journal: &Journal) -> bool {
        match mem::replace(self, Work::GivenUp) {
            Work::Compaction(compaction) => compaction.abandon(dir, journal),
            Work::Hints(writer) => remove_hints(dir, &writer, journal),
            work => {
                *self = work;
                return false;
            }
        }
        true
    }
}

/// Removes hints that are not complete.
pub(crate) fn remove_hints(dir: LogDir<'_>, writer: &hints::Writer, journal: &Journal) {
    if let Err(error) = writer.discard(dir) {
        journal.warn(error);
    }
}
