//! The words for a log that is not as it was written, the same whether opening the store finds out
//! or a check.

/// The salt of a segment differs from that of the segments before it.
pub(crate) const FOREIGN: &str = "it belongs to another store";

/// A segment that the log needs does not exist.
pub(crate) const MISSING: &str = "the file is missing";

/// The records of a segment do not have the digest that a header has for them.
pub(crate) const REPLACED: &str = "its records are not those that the log had here";

/// The sequence number of a record does not follow that of the record before it.
pub(crate) const OUT_OF_PLACE: &str = "the record belongs in another place";
