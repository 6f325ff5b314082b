//! The segments of a log as they were found, perhaps with damaged headers.

use std::collections::BTreeMap;

use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::listing::Listing;
use crate::engine::kvs::format::names::Generation;
use crate::engine::kvs::format::record::Digest;
use crate::engine::kvs::format::segment::{Origin, Segment};
use crate::engine::kvs::format::sound;
use crate::error::{KvsError, Result};

/// The segments that a survey reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// The ones that no compacted segment replaces, as opening the store does.
    Log,
    /// All that exist. The ones that a compacted segment replaces may have records that it lost.
    All,
}

/// A segment as it was found.
pub(super) struct Found {
    pub(super) segment: Segment,
    pub(super) len: u64,
    /// The way in which the records came into it. `None` if the header is damaged.
    pub(super) origin: Option<Origin>,
    /// The error in the header, or in the length of the file.
    pub(super) error: Option<KvsError>,
}

impl Found {
    /// Opens a segment, even if its header is damaged.
    ///
    /// # Errors
    ///
    /// [`KvsError::UnknownVersion`], because no part of the file can be understood then.
    fn open(dir: LogDir<'_>, generation: Generation) -> Result<Found> {
        let mut segment = Segment::open_unread(dir, generation)?;
        let (origin, error) = match segment.read_header() {
            Ok(len) => (Some(segment.origin), segment.check_len(len).err()),
            Err(error @ KvsError::UnknownVersion { .. }) => return Err(error),
            Err(error) => (None, Some(error)),
        };
        Ok(Found {
            len: segment.len()?,
            origin,
            segment,
            error,
        })
    }
}

/// Opens the segments of the scope and returns them from the newest to the oldest one.
pub(super) fn open(dir: LogDir<'_>, listing: &Listing, scope: Scope) -> Result<Vec<Found>> {
    let mut segments = Vec::<Found>::new();
    for generation in listing.segments.iter().rev() {
        let mut newer = segments.iter().map(|found| &found.segment);
        if scope == Scope::Log && newer.clone().any(|newer| newer.origin.replaces_all()) {
            break;
        }
        let found = Found::open(dir, *generation)?;
        // Only a sound header tells which writes a segment has.
        let is_replaced = scope == Scope::Log
            && found.origin.is_some()
            && newer.any(|newer| newer.replaces(&found.segment));
        if !is_replaced {
            segments.push(found);
        }
    }
    Ok(segments)
}

/// The segments of a log, oldest first. `None` stands for a segment that is missing.
pub(super) type Log = BTreeMap<Generation, Option<Found>>;

/// Returns the digests that the headers prove.
pub(super) fn proofs(log: &Log) -> BTreeMap<Generation, Digest> {
    let segments = log.values().map(|found| Some(&found.as_ref()?.segment));
    // The newest segment has none after it.
    let next = segments.clone().skip(1).chain([None]);
    log.keys()
        .zip(segments.zip(next))
        .filter_map(|(n, (segment, next))| Some((*n, sound::proof(segment, next)?)))
        .collect()
}
