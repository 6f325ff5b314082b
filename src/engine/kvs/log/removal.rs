//! Removing the segments that a compaction has replaced, a part of a file at a time.
//!
//! Freeing a long file at once takes some systems so long that a sync of another file waits for it:
//! 20 ms for 64 MiB. So the files lose their names first, and then their ends, step by step. The
//! idea comes from the `DeleteScheduler` of `RocksDB`.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::engine::files::Directory;
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::file::LogFile;
use crate::engine::kvs::format::names;
use crate::engine::kvs::format::scanner::Step;
use crate::engine::kvs::format::segment::Segment;
use crate::engine::kvs::journal::Journal;
use crate::error::Result;

/// The number of bytes that are freed at once.
const AT_ONCE: u64 = 1024 * 1024;

/// The last part of a compaction: removes the files of the segments that the output has replaced.
#[derive(Debug)]
pub(crate) struct Removal {
    dir: Arc<dyn Directory>,
    /// The segments whose files have names, oldest first.
    replaced: VecDeque<Arc<Segment>>,
    /// The files of segments that have lost their names, and that no reader has.
    nameless: Vec<LogFile>,
    /// The file that gets shorter.
    shrinking: Option<LogFile>,
    journal: Journal,
}

impl Removal {
    /// Begins to remove the segments `replaced`, oldest first.
    pub(super) fn new(
        dir: Arc<dyn Directory>,
        replaced: VecDeque<Arc<Segment>>,
        journal: Journal,
    ) -> Removal {
        Removal {
            dir,
            replaced,
            nameless: Vec::new(),
            shrinking: None,
            journal,
        }
    }

    /// Removes the names of one segment's files, or frees a part of a file. Returns whether there
    /// is more to do. If that fails, the next opening removes the files, or the system frees them.
    pub(super) fn step(&mut self) -> Step {
        if let Some(file) = &self.shrinking {
            // When the last handle is dropped, the system frees the rest of the file at once.
            if shorten(file).unwrap_or(Step::Done) == Step::Done {
                self.shrinking = None;
            }
            return Step::More;
        }
        if let Some(segment) = self.replaced.pop_front() {
            self.unlink(segment);
            if self.replaced.is_empty() {
                self.sync_names();
            }
            return Step::More;
        }
        self.shrinking = self.nameless.pop();
        match self.shrinking {
            Some(_) => Step::More,
            None => Step::Done,
        }
    }

    fn unlink(&mut self, segment: Arc<Segment>) {
        let dir = LogDir::new(&*self.dir);
        let names = [names::segment, names::hints].map(|name| name(segment.generation));
        let hints = dir.open(&names[1]).ok();
        if let Err(error) = names.iter().try_for_each(|name| dir.remove(name)) {
            let line = "a replaced file stays until the store is opened again";
            self.journal.warn(format_args!("{line}: {error}"));
            return;
        }
        // Hints that come back after a power cut may be torn.
        self.shrinking = hints;
        // A reader that still has the segment needs all of it.
        let file = Arc::into_inner(segment).map(Segment::into_file);
        self.nameless.extend(file);
    }

    /// Makes the removal of the names durable. If that fails, the segments keep their bytes: a
    /// power cut may bring the names back, and the next opening reads the headers.
    fn sync_names(&mut self) {
        let synced = LogDir::new(&*self.dir).sync_if_possible();
        if !matches!(synced, Ok(true)) {
            self.nameless.clear();
        }
        if let Err(error) = synced {
            let line = "replaced files may come back until the store is opened again";
            self.journal.warn(format_args!("{line}: {error}"));
        }
    }

    /// Removes all names that are left, and frees the room of the files at once.
    pub(super) fn finish(mut self) {
        while !self.replaced.is_empty() {
            self.shrinking = None;
            self.step();
        }
    }
}

/// Frees the end of a file, and returns whether there is more of it.
fn shorten(file: &LogFile) -> Result<Step> {
    // A copy of the directory that is made of hard links has the file, too.
    if file.has_name()? {
        return Ok(Step::Done);
    }
    let rest = file.len()?.saturating_sub(AT_ONCE);
    file.truncate(rest)?;
    Ok(if rest > 0 { Step::More } else { Step::Done })
}
