//! The background jobs: work on sealed segments that the pool does while writing continues.

use std::sync::Arc;

use super::compaction::{Compaction, Switch};
use super::removal::Removal;
use super::syncer::Syncer;
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::hints;
use crate::engine::kvs::format::scanner::Step;
use crate::engine::kvs::index::Index;
use crate::engine::kvs::journal::Journal;
use crate::error::Result;
use crate::sync::{Mutex, RwLock};

/// A handle to a running job, for the pool, which takes its steps, and for the writer, which can
/// take the job back between two steps.
#[derive(Debug, Clone)]
pub(crate) struct JobHandle {
    /// `None` after the writer has taken the job back. A step holds the lock until it ends.
    job: Arc<Mutex<Option<Job>>>,
}

impl JobHandle {
    pub(super) fn new(job: Job) -> JobHandle {
        JobHandle {
            job: Arc::new(Mutex::new(Some(job))),
        }
    }

    /// Takes the next step, of about `bytes` bytes, and returns whether there are more.
    pub(crate) fn step(
        &self,
        index: &RwLock<Index>,
        syncer: &Syncer,
        bytes: usize,
    ) -> Result<Step> {
        // The lock is held for the whole step, so the writer never removes a file that is in use.
        match &mut *self.job.lock() {
            Some(Job::Sync) => syncer.sync().map(|()| Step::Done),
            Some(Job::Compaction(compaction)) => {
                let step = compaction.step(index, bytes)?;
                if step == Step::Done {
                    // Publishing the output syncs the log, and writers wait for that.
                    syncer.sync()?;
                }
                Ok(step)
            }
            Some(Job::Switch(switch)) => switch.step(index, bytes),
            Some(Job::Removal(removal)) => Ok(removal.step()),
            Some(Job::Hints(writer)) => writer.step(bytes),
            None => Ok(Step::Done),
        }
    }

    /// Waits until no step runs and takes the job back. A later step does nothing.
    pub(super) fn take(&self) -> Option<Job> {
        self.job.lock().take()
    }

    /// Takes the job back, as [`take`](JobHandle::take) does, if that frees room on the disk.
    pub(super) fn take_if_large(&self) -> Option<Job> {
        // A sync writes no file, and the output that a switch reads is a part of the log already.
        let is_large = |job: &mut Job| !matches!(job, Job::Sync | Job::Switch(_));
        self.job.lock().take_if(is_large)
    }
}

/// A background job.
#[derive(Debug)]
pub(super) enum Job {
    /// Syncs the log. Starting a compaction seals the active segment, and writers wait while that
    /// syncs. After this job, there is little left to sync.
    Sync,
    /// Copies the live records of the sealed segments to a new one.
    Compaction(Compaction),
    /// Points readers at that copy.
    Switch(Switch),
    /// Removes the segments that the copy replaces.
    Removal(Removal),
    /// Writes the hints of a sealed segment.
    Hints(hints::Rewriter),
}

impl Job {
    /// Frees the room of the job: removes the file that it has written and not published, or those
    /// that it was to remove.
    pub(super) fn discard(self, dir: LogDir<'_>, journal: &Journal) {
        match self {
            Job::Sync | Job::Switch(_) => {}
            Job::Removal(removal) => removal.finish(),
            Job::Compaction(compaction) => compaction.discard(dir, journal),
            Job::Hints(writer) => {
                if let Err(error) = writer.discard(dir) {
                    journal.warn(error);
                }
            }
        }
    }
}
