//! Scans: the pairs of a store, in the order in which they were written last.
//!
//! A page is one job on the pool, which reads a part of the log in sequence. It returns a record if
//! the index still points to it. A long value is left to a second job. Compaction keeps the
//! sequence numbers and with them the order, so a scan that knows the last number continues in the
//! copy.
//!
//! The index is locked for one key at a time, and never during a read from the disk, so a scan does
//! not make writers wait.

mod cursor;
mod seek;

use std::sync::Arc;

use self::cursor::Cursor;
use self::seek::Place;
use super::format::record::{Location, Record};
use super::format::scanner::{Scanner, Step};
use super::format::segment::Segment;
use super::index::{Committed, Index};
use super::pool::Pool;
use crate::engine::{EngineFuture, MAX_PAGE_BYTES, Page, Scan};
use crate::error::{KvsError, Result};
use crate::sync::RwLock;
use crate::thread_pool::ThreadPool;

/// The number of bytes of the log after which a page ends, however few of its records are live. The
/// last record may be longer.
const MAX_LOG_BYTES: usize = 1024 * 1024;

/// Returns the next page of `scan`. The page has every write that has completed before the first
/// poll.
pub(super) fn page<P: ThreadPool>(
    index: &Arc<RwLock<Index>>,
    pool: &Arc<Pool<P>>,
    scan: Scan,
) -> EngineFuture<Page> {
    let (index, pool) = (Arc::clone(index), Arc::clone(pool));
    // The first poll starts the job, so that a future that is dropped before costs nothing.
    let start = move || {
        let page_pool = Arc::clone(&pool);
        let page = page_pool.run_first(move || match read_page(&index, &scan) {
            Ok((page, None)) => EngineFuture::done(Ok(page)),
            Ok((page, Some(long))) => long.read_later(page, pool),
            Err(error) => EngineFuture::done(Err(error)),
        });
        page.with_size(MAX_PAGE_BYTES)
    };
    EngineFuture::lazy(start).with_size(MAX_PAGE_BYTES)
}

/// The place of a value that is too long for a page of several pairs.
struct Long {
    segment: Arc<Segment>,
    location: Location,
}

impl Long {
    /// Reads the value into `page`, whose only pair lacks it, when the future is polled. So pages
    /// that wait for a poll take little memory, and the caller learns their size before the value
    /// is there.
    fn read_later<P: ThreadPool>(self, mut page: Page, pool: Arc<Pool<P>>) -> EngineFuture<Page> {
        let Long { segment, location } = self;
        EngineFuture::lazy(move || {
            let read = pool.run(move || {
                for (key, value) in &mut page.pairs {
                    *value = Some(segment.value(location, key)?);
                }
                Ok(page)
            });
            read.with_size(location.len as usize)
        })
    }
}

/// Returns the next page, and the place of its value if that is long.
fn read_page(index: &RwLock<Index>, scan: &Scan) -> Result<(Page, Option<Long>)> {
    let salt = index.read().salt();
    let cursor = match &scan.cursor {
        None => Cursor::default(),
        Some(text) => Cursor::decode(text, salt).ok_or_else(|| bad_cursor(scan))?,
    };
    let mut reading = Reading {
        index,
        scan,
        place: Place::of(&cursor, index).ok_or_else(|| bad_cursor(scan))?,
        cursor,
        pairs: Vec::new(),
        bytes: 0,
        long: None,
    };
    let step = reading.read()?;
    let long = reading.long.map(|location| Long {
        segment: Arc::clone(reading.place.scanner.segment()),
        location,
    });
    let page = Page {
        cursor: (step == Step::More).then(|| reading.cursor.encode(salt)),
        pairs: reading.pairs,
    };
    Ok((page, long))
}

/// A page that is being read.
struct Reading<'a> {
    index: &'a RwLock<Index>,
    scan: &'a Scan,
    /// The place that was reached in the log. It is behind the cursor, unless the scan is still
    /// looking for that.
    place: Place,
    cursor: Cursor,
    pairs: Vec<(String, Option<String>)>,
    /// Bytes of the keys and values.
    bytes: usize,
    /// The record of the only pair, if its value is left to a second job.
    long: Option<Location>,
}

impl Reading<'_> {
    /// Reads until the page is full, and returns whether there may be more pairs after it.
    fn read(&mut self) -> Result<Step> {
        let mut seen = 0;
        while seen < MAX_LOG_BYTES
            && self.bytes < MAX_PAGE_BYTES
            && self.pairs.len() < self.scan.max_pairs()
        {
            let Some(scanned) = self.place.scanner.next()? else {
                if self.advance()? == Step::Done {
                    return Ok(Step::Done);
                }
                continue;
            };
            seen += scanned.bytes.len();
            let passed = Cursor::of(&scanned);
            if passed.sequence <= self.cursor.sequence {
                // An earlier page has passed this record. The scan looks for the one of its cursor.
                if self.cursor.contradicts(passed.sequence, passed.checksum) {
                    return Err(bad_cursor(self.scan));
                }
                self.cursor.search_from(&passed);
                continue;
            }
            if let Some((key, value)) = select(self.scan, &scanned.record) {
                let len = key.len() + value.map_or(0, str::len);
                // Only a pair that is a page of its own may be longer than a page.
                if self.bytes + len > MAX_PAGE_BYTES && !self.pairs.is_empty() {
                    break;
                }
                let base = self.place.base;
                // A lock for each key: held for longer, it would keep the writer waiting.
                let is_live = self.index.read().is_newest(key, scanned.location, base);
                // A compaction was published. This record is in its output, at another place.
                let Some(is_live) = is_live else {
                    self.find_place()?;
                    continue;
                };
                if is_live {
                    let is_long = len > MAX_PAGE_BYTES;
                    self.bytes += len;
                    self.long = is_long.then_some(scanned.location);
                    let value = value.filter(|_| !is_long);
                    self.pairs.push((key.to_owned(), value.map(str::to_owned)));
                }
            }
            self.cursor = passed;
        }
        Ok(Step::More)
    }

    /// Continues after the end that the segment had when the scanner began. Returns [`Step::Done`]
    /// at the end of the log.
    ///
    /// At that moment, the scan has passed the newest record of every key. So it has returned every
    /// pair that the store has then, including those that were written meanwhile.
    fn advance(&mut self) -> Result<Step> {
        let scanner = &self.place.scanner;
        let (generation, offset) = (scanner.segment().generation, scanner.offset());
        let index = self.index.read();
        if index.base() != self.place.base {
            drop(index);
            self.find_place()?;
            return Ok(Step::More);
        }
        let current = index.segment(generation).filter(|it| it.end > offset);
        let next = index.next_segment(generation);
        drop(index);
        self.place.scanner = match (current, next) {
            // A new scanner, because the buffer of this one may have bytes from beyond the old end,
            // read before they were committed.
            (Some(Committed { segment, end }), _) => {
                Scanner::resume(segment, end, offset, scanner.sequence())
            }
            (None, Some(Committed { segment, end })) => Scanner::new(segment, end),
            // The log does not reach the cursor. A power cut may have taken its record, or it is a
            // cursor of another store.
            (None, None) if scanner.sequence() < self.cursor.sequence => {
                return Err(bad_cursor(self.scan));
            }
            (None, None) => return Ok(Step::Done),
        };
        Ok(Step::More)
    }

    /// Continues after the cursor in a log that a compaction has changed.
    fn find_place(&mut self) -> Result<()> {
        let place = Place::of(&self.cursor, self.index);
        self.place = place.ok_or_else(|| bad_cursor(self.scan))?;
        Ok(())
    }
}

/// Returns the pair of a record, if it has one that the scan is to return.
fn select<'a>(scan: &Scan, record: &Record<'a>) -> Option<(&'a str, Option<&'a str>)> {
    let value = record
        .value
        .filter(|_| record.key.starts_with(&scan.prefix))?;
    Some((record.key, Some(value).filter(|_| !scan.keys_only)))
}

fn bad_cursor(scan: &Scan) -> KvsError {
    KvsError::BadCursor {
        cursor: scan.cursor.clone().unwrap_or_default(),
    }
}
