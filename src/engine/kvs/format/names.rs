//! The names of the files in a data directory.

use std::io;

use crate::engine::files::Directory;
use crate::error::{KvsError, Result};

/// The number of a segment. Segments are written in the order of their generations.
pub(crate) type Generation = u32;

/// No store gets as far as that, so adding to a number never goes over the end.
pub(crate) const MAX_GENERATION: Generation = Generation::MAX / 2;

pub(crate) const CHECKPOINT: &str = "kvs-checkpoint";
pub(crate) const WATERMARK: &str = "kvs-synced";
/// The extension of a segment's file.
pub(crate) const EXTENSION: &str = "segment";
/// What follows the name of a file that is still being made. Such a file means nothing.
const UNFINISHED: &str = "unfinished";

const HINTS: &str = "hints";

/// Digits of a generation in a file name: enough for all of them, so that names sort as they do.
const DIGITS: usize = 10;

/// The name of a file that belongs to a segment.
fn file_name(generation: Generation, extension: &str) -> String {
    format!("{generation:0DIGITS$}.{extension}")
}

/// What the file `name` is called while it is being made.
pub(crate) fn unfinished(name: &str) -> String {
    format!("{name}.{UNFINISHED}")
}

/// Gives a finished file its name.
pub(crate) fn publish(dir: &dyn Directory, name: &str) -> Result<()> {
    dir.rename(&unfinished(name), name)
        .map_err(KvsError::io(format_args!(
            "rename {:?} to its final name",
            dir.path().join(unfinished(name))
        )))
}

/// The name of the file of a segment.
pub(crate) fn segment(generation: Generation) -> String {
    file_name(generation, EXTENSION)
}

/// The name of the file of a segment's hints.
pub(crate) fn hints(generation: Generation) -> String {
    file_name(generation, HINTS)
}

/// What a data directory holds of the log.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The segments, oldest first.
    pub(crate) segments: Vec<Generation>,
    /// The segments that have [hints], in any order.
    pub(crate) hints: Vec<Generation>,
    pub(crate) has_checkpoint: bool,
    /// The names of what was never finished.
    pub(crate) unfinished: Vec<String>,
}

impl Listing {
    pub(crate) fn of(dir: &dyn Directory) -> Result<Listing> {
        let mut listing = Listing::default();
        let names = dir.list();
        for name in names.map_err(KvsError::io(format_args!("list {:?}", dir.path())))? {
            if name == CHECKPOINT {
                listing.has_checkpoint = true;
            } else if [CHECKPOINT, WATERMARK].map(unfinished).contains(&name) {
                listing.unfinished.push(name);
                continue;
            }
            // Whatever is not named as we name our files is not ours.
            let Some((number, extension)) = name.split_once('.') else {
                continue;
            };
            if number.len() != DIGITS || !number.bytes().all(|byte| byte.is_ascii_digit()) {
                continue;
            }
            match (number.parse(), extension) {
                (Ok(MAX_GENERATION..), _) => {}
                (Ok(generation), EXTENSION) => listing.segments.push(generation),
                (Ok(generation), HINTS) => listing.hints.push(generation),
                (Ok(_), _) if extension.ends_with(UNFINISHED) => listing.unfinished.push(name),
                _ => {}
            }
        }
        listing.segments.sort_unstable();
        Ok(listing)
    }
}

/// Makes the names of the files as durable as what is in them.
pub(crate) fn sync_names(dir: &dyn Directory) -> Result<()> {
    match dir.sync() {
        // The file system cannot sync directories. Opening the store has reported it.
        Err(error) if error.kind() == io::ErrorKind::Unsupported => Ok(()),
        synced => synced.map_err(KvsError::io(format_args!("sync {:?}", dir.path()))),
    }
}

/// Unlinks a file of the log, where it is there.
pub(crate) fn remove(dir: &dyn Directory, name: &str) -> Result<()> {
    match dir.remove(name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            let path = dir.path().join(name);
            Err(KvsError::io(format_args!("remove {path:?}"))(error))
        }
        _ => Ok(()),
    }
}
