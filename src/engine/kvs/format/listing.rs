//! The files in a data directory, sorted by their names.

use super::dir::LogDir;
use super::names::{
    CHECKPOINT, DIGITS, Generation, HINTS, MAX_GENERATION, SEGMENT, UNFINISHED, WATERMARK,
    unfinished,
};
use crate::error::Result;

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

    /// Sorts one file in. Ignores a file whose name this store would not give, because it belongs
    /// to someone else.
    fn add(&mut self, name: String) {
        if name == CHECKPOINT {
            self.has_checkpoint = true;
        } else if [CHECKPOINT, WATERMARK].map(unfinished).contains(&name) {
            self.unfinished.push(name);
        } else if let Some((number, extension)) = name.split_once('.')
            // `parse` alone would also take a sign, or another number of digits.
            && number.len() == DIGITS
            && number.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(generation) = number.parse::<Generation>()
            && generation < MAX_GENERATION
        {
            match extension {
                SEGMENT => self.segments.push(generation),
                HINTS => self.hints.push(generation),
                // Another extension may come before this one, since copies of damaged bytes are
                // also unfinished at first.
                _ if extension.ends_with(UNFINISHED) => self.unfinished.push(name),
                _ => {}
            }
        }
    }
}
