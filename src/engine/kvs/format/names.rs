//! The names of the files in a data directory.

use super::dir::LogDir;
use crate::error::Result;

/// The number of a segment. Segments are written in the order of their generations.
pub(crate) type Generation = u32;

/// The first generation that no segment has. No store reaches it, so adding to a generation does
/// not overflow.
pub(crate) const MAX_GENERATION: Generation = Generation::MAX / 2;

pub(crate) const CHECKPOINT: &str = "kvs-checkpoint";
pub(crate) const WATERMARK: &str = "kvs-synced";

/// The extension of a segment.
pub(crate) const SEGMENT: &str = "segment";
/// The extension of the hints of a segment.
const HINTS: &str = "hints";
/// The last extension of a file that was not published yet. Readers ignore such a file.
const UNFINISHED: &str = "unfinished";

/// Digits of a generation in a name: enough for every generation, so that sorting the names sorts
/// the segments.
const DIGITS: usize = 10;

/// Returns the name of a segment.
pub(crate) fn segment(generation: Generation) -> String {
    file_name(generation, SEGMENT)
}

/// Returns the name of the hints of a segment.
pub(crate) fn hints(generation: Generation) -> String {
    file_name(generation, HINTS)
}

/// Returns the name that the file `name` has until it is published.
pub(crate) fn unfinished(name: &str) -> String {
    format!("{name}.{UNFINISHED}")
}

fn file_name(generation: Generation, extension: &str) -> String {
    format!("{generation:0DIGITS$}.{extension}")
}

/// The files of a log in a data directory.
#[derive(Debug, Default)]
pub(crate) struct Listing {
    /// The segments, oldest first.
    pub(crate) segments: Vec<Generation>,
    /// The segments that have hints, in any order.
    pub(crate) hints: Vec<Generation>,
    pub(crate) has_checkpoint: bool,
    /// The names of the files that were never published.
    pub(crate) unfinished: Vec<String>,
}

impl Listing {
    pub(crate) fn of(dir: LogDir<'_>) -> Result<Listing> {
        let mut listing = Listing::default();
        for name in dir.list()? {
            listing.add(name);
        }
        listing.segments.sort_unstable();
        Ok(listing)
    }

    /// Sorts one file in. Ignores a file whose name this store would not give, because it belongs to
    /// someone else.
    fn add(&mut self, name: String) {
        if name == CHECKPOINT {
            self.has_checkpoint = true;
        } else if [CHECKPOINT, WATERMARK].map(unfinished).contains(&name) {
            self.unfinished.push(name);
        } else if let Some((number, extension)) = name.split_once('.')
            && number.len() == DIGITS
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(generation) = number.parse::<Generation>()
            && generation < MAX_GENERATION
        {
            match extension {
                SEGMENT => self.segments.push(generation),
                HINTS => self.hints.push(generation),
                _ if extension.ends_with(UNFINISHED) => self.unfinished.push(name),
                _ => {}
            }
        }
    }
}
