//! The pages of a scan, one after the other.

use crate::error::{KvsError, Result};
use crate::protocol::{ErrorCode, Page, Request, Scan};

/// The largest number of pairs in a page that a client asks for.
pub const PAGE: usize = 1000;

/// The place of a scan between two pages.
#[derive(Debug, Clone)]
pub struct Pages {
    next: Scan,
    is_done: bool,
}

impl Pages {
    /// Begins a scan of all pairs whose keys begin with `prefix`.
    #[must_use]
    pub fn new(prefix: String) -> Pages {
        Pages {
            next: Scan {
                limit: PAGE,
                ..Scan::prefix(prefix)
            },
            is_done: false,
        }
    }

    /// Returns the request for the next page, or `None` after the last page.
    #[must_use]
    pub fn request(&self) -> Option<Request> {
        (!self.is_done).then(|| Request::Scan(self.next.clone()))
    }

    /// Moves behind `page`, and returns its pairs.
    ///
    /// # Errors
    ///
    /// [`KvsError::Server`] if the page has a key without a value.
    pub fn receive(&mut self, page: Page) -> Result<Vec<(String, String)>> {
        self.is_done = page.cursor.is_none();
        self.next.cursor = page.cursor;
        let pairs = page.pairs.into_iter();
        pairs.map(|(key, value)| with_value(key, value)).collect()
    }
}

fn with_value(key: String, value: Option<String>) -> Result<(String, String)> {
    match value {
        Some(value) => Ok((key, value)),
        None => Err(KvsError::Server {
            code: ErrorCode::Engine,
            message: format!("a page of pairs has no value for the key {key:?}"),
        }),
    }
}
