//! What is done in the background while writing goes on.

use std::mem;
use std::sync::Arc;

use super::compaction::{Compaction, Switch};
use super::hints;
use super::index::Index;
use super::journal::Journal;
use super::segment;
use super::unsynced::Unsynced;
use crate::engine::files::Directory;
use crate::error::Result;
use crate::sync::{Mutex, RwLock};

/// A background job. The thread that takes a step holds the lock meanwhile. Between two steps, the
/// writer can give the job up to free its room on the disk.
pub(super) type Job = Arc<Mutex<Work>>;

/// A piece of work that needs no turn of the writer until it is done.
#[derive(Debug)]
pub(super) enum Work {
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
    pub(super) fn step(
        &mut self,
        index: &RwLock<Index>,
        unsynced: &Unsynced,
        bytes: usize,
    ) -> Result<bool> {
        match self {
            Work::Sync => unsynced.sync().map(|()| false),
            Work::Compaction(compaction) => compaction.step(index, bytes),
            Work::Switch(switch) => switch.step(index, bytes),
            Work::Hints(writer) => writer.step(bytes),
            Work::GivenUp => Ok(false),
        }
    }

    /// Gives the job up if it takes room on the disk, and frees that room. Returns whether it did.
    pub(super) fn give_up(&mut self, dir: &dyn Directory, journal: &Journal) -> bool {
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
pub(super) fn remove_hints(dir: &dyn Directory, writer: &hints::Writer, journal: &Journal) {
    let name = segment::unfinished(&hints::name(writer.generation()));
    if let Err(error) = segment::remove(dir, &name) {
        journal.warn(error);
    }
}
