//! A scan: all pairs of a store, a page at a time. This is the data of a scan, which engines, the
//! protocol and clients share.

use serde::{Deserialize, Serialize};

/// The largest number of pairs in a page.
pub const MAX_PAGE_PAIRS: usize = 10_000;

/// The largest number of bytes of keys and values in a page of several pairs. A page of one pair
/// may be longer.
pub const MAX_PAGE_BYTES: usize = 256 * 1024;

/// A request for the next page of a scan.
///
/// A pair that exists from the beginning to the end of a scan is returned at least once, and
/// exactly once if nothing is written meanwhile. A pair that is written or removed meanwhile may be
/// returned or not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scan {
    /// The cursor of the previous page, or `None` for the first page.
    #[serde(default)]
    pub cursor: Option<String>,
    /// The largest number of pairs in the page. At least 1 and at most [`MAX_PAGE_PAIRS`] count.
    pub limit: usize,
    /// The text that the keys begin with.
    #[serde(default)]
    pub prefix: String,
    /// Whether to leave out the values.
    #[serde(default)]
    pub keys_only: bool,
}

/// A page of a scan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page {
    /// The keys with their values, which are `None` in a scan of keys only. A page may have no
    /// pairs although it is not the last one.
    pub pairs: Vec<(String, Option<String>)>,
    /// The cursor of the next page, or `None` after the last one. Its contents are up to the
    /// engine.
    pub cursor: Option<String>,
}

impl Scan {
    /// Returns the first page's request for all pairs whose keys begin with `prefix`.
    #[must_use]
    pub fn prefix(prefix: impl Into<String>) -> Scan {
        Scan {
            limit: MAX_PAGE_PAIRS,
            prefix: prefix.into(),
            ..Scan::default()
        }
    }

    /// Returns the number of pairs that a page may have.
    #[doc(hidden)]
    #[must_use]
    pub fn max_pairs(&self) -> usize {
        self.limit.clamp(1, MAX_PAGE_PAIRS)
    }

    /// Returns the memory in bytes that a page may take if it has more than one pair.
    #[cfg(feature = "server")]
    pub(crate) fn max_size(&self) -> usize {
        MAX_PAGE_BYTES + self.max_pairs() * size_of::<(String, Option<String>)>()
    }
}
