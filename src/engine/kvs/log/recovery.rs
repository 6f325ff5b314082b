//! Opening a log: chooses the files to read, and removes the traces of a crash.
//!
//! Reading changes nothing, so a log that does not open stays as it is. `format::sound` has the
//! rules that tell damage from the traces of a crash.

use std::io::ErrorKind;
use std::sync::Arc;

use log::{info, warn};

use super::end::End;
use super::replay::{Active, Replay, Replayed, Source};
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::listing::Listing;
use crate::engine::kvs::format::names::{self, Generation};
use crate::engine::kvs::format::salvage;
use crate::engine::kvs::format::segment::{Opened, Segment};
use crate::engine::kvs::format::sound::{self, Fault};
use crate::engine::kvs::format::watermark::LastRun;
use crate::engine::kvs::index::Index;
use crate::engine::kvs::index::checkpoint::Checkpoint;
use crate::error::{KvsError, Result};

/// A log as it was found.
#[derive(Debug)]
pub(super) struct Recovered {
    log: Replayed,
    /// The names of files that are not needed any more.
    leftovers: Vec<String>,
}

impl Recovered {
    /// Reads the log in `dir`, which may be empty, and changes nothing.
    ///
    /// # Errors
    ///
    /// [`KvsError::Damaged`] for everything that a crash does not explain.
    pub(super) fn read(dir: LogDir<'_>) -> Result<Recovered> {
        Recovered::read_log(dir).map_err(mention_copies)
    }

    fn read_log(dir: LogDir<'_>) -> Result<Recovered> {
        let listing = Listing::of(dir)?;
        let segments = open_segments(dir, &listing.segments)?;
        let last_run = last_run(dir, &segments)?;

        let replay = match Checkpoint::read(dir, &segments) {
            Some((checkpoint, index)) => Replay::after(checkpoint, index, dir),
            None => Replay::new(Source::Hints(dir)),
        };
        let log = match replay.run(&segments, &last_run) {
            // The checkpoint or the hints may be wrong. Only the records themselves can tell.
            Err(KvsError::Damaged { .. }) => {
                Replay::new(Source::Records).run(&segments, &last_run)?
            }
            read => read?,
        };

        Ok(Recovered {
            leftovers: leftovers(listing, &segments, log.covered.is_some()),
            log,
        })
    }

    /// Removes the leftovers and makes the sealed segments durable, so that a reader never sees a
    /// value that a power cut could still take away. Cuts off a torn tail.
    pub(super) fn settle(mut self, dir: LogDir<'_>) -> Result<Replayed> {
        dir.sync()?;
        if !self.leftovers.is_empty() {
            for name in &self.leftovers {
                info!("removing {name:?}, which is not needed any more");
                dir.remove(name)?;
            }
            // If a power cut brought back an old checkpoint, it might match the log again later.
            dir.sync()?;
        }
        // Segments are synced when they are sealed, but this directory may be a copy.
        for sealed in self.log.sealed.values() {
            sealed.end.segment.sync()?;
        }
        if let Some(active) = &mut self.log.active {
            cut_tail(active, &mut self.log.index, dir)?;
        }
        Ok(self.log)
    }
}

/// Cuts the newest segment off at the end of its sound records. Keeps the bytes after it in another
/// file if they are more than the rest of one write.
fn cut_tail(active: &mut Active, index: &mut Index, dir: LogDir<'_>) -> Result<()> {
    let End { segment, len, .. } = &mut active.end;
    if let Some(torn) = active.torn.take() {
        let kept = salvage::quarantine(dir, segment, torn.start, torn.end, "torn")?;
        warn!("the dropped bytes are kept in {kept:?}");
    }
    // A copy has no more than `len` bytes. If there is none, no other directory has the file, and
    // it may be cut.
    if let Some(copy) = segment.detach(dir, *len)? {
        *segment = Arc::new(copy);
    } else {
        // The file may seem to have this length already, because a cut was made whose sync failed.
        segment.truncate(*len)?;
    }
    index.add_segment(Arc::clone(segment), *len);
    Ok(())
}

/// Adds another possible cause to the error for a damaged log.
fn mention_copies(error: KvsError) -> KvsError {
    const COPIED: &str = "if this directory was copied while a server used it, copy it again as \
         \"Backups\" in docs/guarantees.md says";
    match error {
        KvsError::Damaged {
            file,
            offset,
            reason,
        } => KvsError::Damaged {
            file,
            offset,
            reason: format!("{reason} ({COPIED})"),
        },
        // The store that has the original may cut a file off that a hard link shares.
        KvsError::Io { action, source } if source.kind() == ErrorKind::UnexpectedEof => {
            let action = format!("{action} ({COPIED})");
            KvsError::Io { action, source }
        }
        error => error,
    }
}

/// Opens the segments that count, and returns them from the oldest to the newest one.
fn open_segments(dir: LogDir<'_>, generations: &[Generation]) -> Result<Vec<Opened>> {
    let mut segments = Vec::<Opened>::new();
    for generation in generations.iter().rev() {
        let next = segments.last().map(|next| &*next.segment);
        if next.is_some_and(|next| next.origin.replaces_all()) {
            break;
        }
        let segment = Segment::open(dir, *generation)?;
        // Replaced segments still exist if a crash came before their removal.
        if segments.iter().any(|it| it.segment.replaces(&segment)) {
            continue;
        }
        segments.push(Opened {
            len: segment.len()?,
            proof: sound::proof(Some(&segment), next),
            segment: Arc::new(segment),
        });
    }
    segments.reverse();
    Ok(segments)
}

/// Returns the watermark that the previous process left, and checks that its segment exists.
fn last_run(dir: LogDir<'_>, segments: &[Opened]) -> Result<LastRun> {
    let mut last_run = LastRun::of(dir);
    let newest = segments.last().map(|opened| &opened.segment);
    // A watermark that a copy or a backup has left behind says nothing about this log.
    if let Some(newest) = newest {
        last_run.check_salt(newest.salt);
    }
    let synced = last_run.watermark.generation;
    if synced > newest.map_or(0, |newest| newest.generation) {
        return Err(KvsError::Damaged {
            file: dir.path_of(&names::segment(synced)),
            offset: 0,
            reason: Fault::Missing.into(),
        });
    }
    Ok(last_run)
}

/// Returns the names of the files that are not needed any more. `log` are the segments that count.
fn leftovers(listing: Listing, log: &[Opened], has_checkpoint: bool) -> Vec<String> {
    let is_replaced = |n: &&Generation| log.iter().all(|opened| opened.segment.generation != **n);
    let replaced = listing.segments.iter().filter(is_replaced);
    // If a crash comes while compaction removes a segment, its hints may outlast it.
    let stray_hints = listing.hints.iter().filter(is_replaced);

    let mut leftovers = listing.unfinished;
    leftovers.extend(replaced.map(|n| names::segment(*n)));
    leftovers.extend(stray_hints.map(|n| names::hints(*n)));
    if listing.has_checkpoint && !has_checkpoint {
        leftovers.push(names::CHECKPOINT.to_owned());
    }
    leftovers
}
