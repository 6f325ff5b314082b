//! Scans, in the order of the keys.

use std::ops::Bound;

use super::error::catch;
use crate::error::{KvsError, Result};
use crate::scan::{MAX_PAGE_BYTES, Page, Scan};

/// The beginning of a cursor. The last key of the page follows. No other engine has such cursors.
const CURSOR: &str = "sled:";

/// The number of bytes that a page of keys may read. sled reads the values, too.
const MAX_READ: usize = 16 * 1024 * 1024;

/// The keys that a page has an answer for: those with a prefix and between two bounds.
pub(super) struct Range {
    prefix: String,
    after: Option<String>,
    /// `None` after the last page.
    last: Option<String>,
}

impl Range {
    pub(super) fn contains(&self, key: &str) -> bool {
        key.starts_with(&self.prefix)
            && self.after.as_deref().is_none_or(|after| after < key)
            && self.last.as_deref().is_none_or(|last| key <= last)
    }
}

/// Reads the next page of a scan. Returns it with the keys that it has an answer for.
pub(super) fn read_page(db: &sled::Db, scan: Scan) -> Result<(Page, Range)> {
    let after = scan.cursor.as_deref().map(last_key).transpose()?;
    let page = catch(|| read_after(db, after, &scan))?;
    // A last page has an answer for all keys after its pairs, too: they do not exist.
    let last = page.cursor.as_ref().and(page.pairs.last());
    let range = Range {
        after: after.map(str::to_owned),
        last: last.map(|(key, _)| key.clone()),
        prefix: scan.prefix,
    };
    Ok((page, range))
}

/// Returns the key in a cursor.
fn last_key(cursor: &str) -> Result<&str> {
    cursor
        .strip_prefix(CURSOR)
        .ok_or_else(|| KvsError::BadCursor {
            cursor: cursor.to_owned(),
        })
}

fn read_after(db: &sled::Db, after: Option<&str>, scan: &Scan) -> Result<Page> {
    let first = Bound::Included(&*scan.prefix);
    // A cursor of a scan with another prefix may be before the first key of this one.
    let after = after.filter(|after| *after >= &*scan.prefix);
    let start = after.map_or(first, Bound::Excluded);
    let mut page = Page::default();
    let (mut shown, mut read) = (0, 0);
    // An iterator does not stop writers. It reads one node of the tree after the other, so pairs
    // that are written behind it are not in the page.
    for pair in db.range::<&str, _>((start, Bound::Unbounded)) {
        let (key, value) = pair?;
        if !key.starts_with(scan.prefix.as_bytes()) {
            break;
        }
        read += key.len() + value.len();
        shown += key.len() + if scan.keys_only { 0 } else { value.len() };
        let is_full = page.pairs.len() == scan.max_pairs() || shown > MAX_PAGE_BYTES;
        // The page ends before the pair that is too much. After it, a long pair might no longer fit
        // into the frame of the reply. The first pair is never too much, or the scan could not pass
        // it.
        if let Some((last, _)) = page.pairs.last()
            && (is_full || read > MAX_READ)
        {
            page.cursor = Some(format!("{CURSOR}{last}"));
            break;
        }
        page.pairs.push(to_strings(&key, &value, scan.keys_only)?);
    }
    Ok(page)
}

fn to_strings(key: &[u8], value: &[u8], keys_only: bool) -> Result<(String, Option<String>)> {
    let to_string = |bytes: &[u8]| {
        String::from_utf8(bytes.to_vec()).map_err(|_| KvsError::NotUtf8 {
            key: String::from_utf8_lossy(key).into_owned(),
        })
    };
    let value = if keys_only {
        None
    } else {
        Some(to_string(value)?)
    };
    Ok((to_string(key)?, value))
}
