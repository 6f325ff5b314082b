//! The names of the files in a data directory.

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
pub(super) const HINTS: &str = "hints";
/// The last extension of a file that was not published yet. Readers ignore such a file.
pub(super) const UNFINISHED: &str = "unfinished";

/// Digits of a generation in a name: enough for every generation, so that sorting the names sorts
/// the segments.
pub(super) const DIGITS: usize = 10;

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
