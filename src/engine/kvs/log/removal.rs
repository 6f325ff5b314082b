//! Removing the segments that a compaction has replaced.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::engine::files::Directory;
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::names::{self, Generation};
use crate::engine::kvs::format::scanner::Step;
use crate::engine::kvs::journal::Journal;

/// The last part of a compaction: removes the files of the segments that the output has replaced.
/// Freeing their room takes the system so long that writers would notice it.
#[derive(Debug)]
pub(crate) struct Removal {
    dir: Arc<dyn Directory>,
    replaced: VecDeque<Generation>,
    journal: Journal,
}

impl Removal {
    /// Begins to remove the segments `replaced`, oldest first.
    pub(super) fn new(
        dir: Arc<dyn Directory>,
        replaced: Vec<Generation>,
        journal: Journal,
    ) -> Removal {
        Removal {
            dir,
            replaced: replaced.into(),
            journal,
        }
    }

    /// Removes the files of one segment, and returns whether there are more. If that fails, the
    /// next opening removes them.
    pub(super) fn step(&mut self) -> Step {
        let dir = LogDir::new(&*self.dir);
        let Some(generation) = self.replaced.pop_front() else {
            if let Err(error) = dir.sync() {
                self.journal.warn(format_args!(
                    "replaced files may come back until the store is opened again: {error}"
                ));
            }
            return Step::Done;
        };
        let removed = dir
            .remove(&names::segment(generation))
            .and_then(|()| dir.remove(&names::hints(generation)));
        if let Err(error) = removed {
            self.journal.warn(format_args!(
                "a replaced file stays until the store is opened again: {error}"
            ));
        }
        Step::More
    }

    /// Takes all steps that are left.
    pub(super) fn finish(mut self) {
        while self.step() == Step::More {}
    }
}
