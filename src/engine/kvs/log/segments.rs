//! The segments of the log, and how one takes the place of another.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;

use log::Level;

use super::end::End;
use super::failure::Failure;
use super::recovery::Recovered;
use super::removal::Removal;
use super::replay::{Active, Sealed};
use super::syncer::Syncer;
use crate::engine::files::Directory;
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::hints;
use crate::engine::kvs::format::names::{self, Generation};
use crate::engine::kvs::format::record::{Digest, Salt};
use crate::engine::kvs::format::segment::{HEADER_LEN, Origin, Segment};
use crate::engine::kvs::index::Index;
use crate::engine::kvs::journal::Journal;
use crate::engine::kvs::options::KvStoreOptions;
use crate::error::{KvsError, Result};
use crate::sync::RwLock;

/// The distance of the generations of two segments that are written one after the other. A
/// compacted segment gets a number between those of the segments around it.
const STRIDE: Generation = 2;

/// The segments of the log: the active one, which the writer appends to, and the sealed ones before
/// it.
#[derive(Debug)]
pub(super) struct Segments {
    dir: Arc<dyn Directory>,
    pub(super) options: KvStoreOptions,
    /// The index that readers share. The writer changes it after the log has changed.
    pub(super) index: Arc<RwLock<Index>>,
    pub(super) syncer: Arc<Syncer>,
    pub(super) failure: Failure,
    /// The end of the active segment.
    pub(super) end: End,
    /// Its hints. `None` if they could not be written, or if an earlier process began the segment:
    /// a job then writes them when the segment is sealed.
    hints: Option<hints::Writer>,
    /// The length from which it is full.
    pub(super) max_len: u64,
    /// The end of the zeros behind its last record. If this is not behind `end`, there are none.
    pub(super) preallocated: u64,
    pub(super) sealed: BTreeMap<Generation, Sealed>,
    /// The number of the last write.
    pub(super) sequence: u64,
    /// The number of bytes of the log that the checkpoint covers.
    pub(super) covered: u64,
}

impl Segments {
    /// Opens the segments in `dir`, which may be empty.
    pub(super) fn open(
        dir: Arc<dyn Directory>,
        options: KvStoreOptions,
        journal: Journal,
    ) -> Result<Segments> {
        let log_dir = LogDir::new(&*dir);
        let failure = Failure::new(journal);
        let mut found = Recovered::read(log_dir)?.settle(log_dir)?;
        found.index.set_cache_capacity(options.cache_bytes);
        let (end, synced) = match found.active {
            Some(Active { end, synced, .. }) => (end, synced),
            // The log is new, or a crash came after a compaction and before the next segment.
            None => {
                let newest = found.sealed.values().next_back();
                let generation = newest.map_or(1, |newest| newest.end.segment.generation + STRIDE);
                let before = newest.map_or(Digest::default(), |newest| newest.end.digest);
                let after = found.sequence;
                let salt = found.salt.unwrap_or_else(Salt::random);
                let segment =
                    Segment::create(log_dir, generation, Origin::Written { after }, salt)?;
                let segment = publish_empty(log_dir, segment, before, &failure)?;
                found.index.add_segment(Arc::clone(&segment), HEADER_LEN);
                (End::of_new(segment), HEADER_LEN)
            }
        };
        // The process that wrote the last records may not have synced them. Readers see them from
        // now on, so this syncs them.
        let syncer = Syncer::new(log_dir, end.clone(), synced, failure.clone())?;
        Ok(Segments {
            dir,
            hints: None,
            preallocated: 0,
            max_len: options.max_segment_bytes(found.index.live_bytes()),
            options,
            index: Arc::new(RwLock::new(found.index)),
            syncer: Arc::new(syncer),
            failure,
            end,
            sealed: found.sealed,
            sequence: found.sequence,
            covered: found.covered.unwrap_or(0),
        })
    }

    pub(super) fn dir(&self) -> LogDir<'_> {
        LogDir::new(&*self.dir)
    }

    pub(super) fn journal(&self) -> &Journal {
        &self.failure.journal
    }

    /// Returns the salt of all segments of this log.
    pub(super) fn salt(&self) -> Salt {
        self.end.segment.salt
    }

    /// Returns the ends of the segments of the generation `first` and later, oldest first.
    pub(super) fn from(&self, first: Generation) -> impl Iterator<Item = &End> {
        let sealed = self.sealed.range(first..).map(|(_, sealed)| &sealed.end);
        sealed.chain([&self.end])
    }

    /// Seals the active segment and begins the next one.
    pub(super) fn roll(&mut self) -> Result<()> {
        // A sealed segment with a torn end would count as damage, so sync it at every level.
        self.syncer.sync()?;
        self.cut_preallocated()?;
        let generation = self.end.segment.generation + STRIDE;
        let after = self.sequence;
        let origin = Origin::Written { after };
        let segment = Segment::create(self.dir(), generation, origin, self.salt())?;
        let segment = publish_empty(self.dir(), segment, self.end.digest, &self.failure)?;
        // Readers look locations up in the index, so it has the segment before the first of them.
        let mut index = self.index.write();
        index.add_segment(Arc::clone(&segment), HEADER_LEN);
        drop(index);
        let next_hints = self.begin_hints(&segment);
        let sealed = mem::replace(&mut self.end, End::of_new(segment));
        let has_hints = self.try_hints(|hints, dir| hints.publish(sealed.len, sealed.digest, dir));
        self.hints = next_hints;
        self.max_len = self.options.max_segment_bytes(self.live_bytes());
        self.syncer.note_new(&self.end);
        self.insert_sealed(sealed, !has_hints);
        Ok(())
    }

    /// Begins the hints of a new segment.
    fn begin_hints(&self, segment: &Arc<Segment>) -> Option<hints::Writer> {
        // Hints are at most as long as their segment.
        if !self.has_room_for(self.max_len) {
            return None;
        }
        let begun = hints::Writer::new(self.dir(), Arc::clone(segment));
        begun.inspect_err(|error| self.warn_of_hints(error)).ok()
    }

    /// Adds the last records of the active segment to its hints.
    pub(super) fn add_hints(&mut self, records: &[u8]) {
        self.try_hints(|hints, _| hints.add_all(records));
    }

    /// Does something with the hints of the active segment, if it has any, and gives them up if
    /// that fails. Returns whether it was done.
    fn try_hints(
        &mut self,
        act: impl FnOnce(&mut hints::Writer, LogDir<'_>) -> Result<()>,
    ) -> bool {
        let acted = self
            .hints
            .as_mut()
            .map(|hints| act(hints, LogDir::new(&*self.dir)));
        if let Some(Err(error)) = &acted {
            self.warn_of_hints(error);
            self.discard_hints();
        }
        matches!(acted, Some(Ok(())))
    }

    /// Removes the hints of the active segment, which frees their room. Returns whether it has any.
    pub(super) fn discard_hints(&mut self) -> bool {
        let Some(hints) = self.hints.take() else {
            return false;
        };
        if let Err(error) = hints.discard(self.dir()) {
            self.journal().warn(error);
        }
        true
    }

    /// Logs that a segment has no hints.
    pub(super) fn warn_of_hints(&self, error: &KvsError) {
        let line = format_args!("continuing without hints: {error}");
        self.journal().warn(line);
    }

    /// Makes the output of a compaction a part of the log, in the place of its inputs.
    pub(super) fn publish_output(&self, output: &End) -> Result<()> {
        // A record was left out because a later write made it dead. A power cut that takes the
        // later write must not find the record gone, so sync the later write first.
        self.syncer.sync()?;
        publish(self.dir(), &output.segment, &self.failure)?;
        let segment = Arc::clone(&output.segment);
        self.index.write().add_output(segment, output.len);
        Ok(())
    }

    /// Puts the published output of a compaction in the place of its inputs, to which no reader is
    /// pointed any more. Returns the removal of their files.
    pub(super) fn replace_by(&mut self, output: End) -> Removal {
        let before = self.dead_bytes();
        let sealed = mem::take(&mut self.sealed).into_iter();
        let is_replaced = |(_, it): &(_, Sealed)| output.segment.replaces(&it.end.segment);
        let (replaced, kept) = sealed.partition::<BTreeMap<_, _>, _>(is_replaced);
        self.sealed = kept;
        // The compaction has written its hints.
        self.insert_sealed(output, false);
        self.covered = 0;
        let mut index = self.index.write();
        for generation in replaced.keys() {
            index.remove_segment(*generation);
        }
        drop(index);
        let freed = before.saturating_sub(self.dead_bytes());
        let line = format_args!("compaction of {:?} freed {freed} bytes", self.dir().path());
        self.journal().note(Level::Info, line);
        let replaced = replaced.into_values().map(|it| it.end.segment).collect();
        Removal::new(Arc::clone(&self.dir), replaced, self.journal().clone())
    }

    /// Inserts a segment whose digest is in a header: in the next one, or in its own if it is the
    /// output of a compaction.
    fn insert_sealed(&mut self, end: End, wants_hints: bool) {
        let generation = end.segment.generation;
        let sealed = Sealed {
            end,
            is_proven: true,
            wants_hints,
        };
        self.sealed.insert(generation, sealed);
    }

    /// Returns whether there is a segment of format 1, whose digest is in no header.
    pub(super) fn has_unproven(&self) -> bool {
        self.sealed.values().any(|sealed| !sealed.is_proven)
    }

    /// Returns the number of bytes of records that no key needs any more.
    pub(super) fn dead_bytes(&self) -> u64 {
        let sealed = self.sealed.values();
        let sealed = sealed.map(|sealed| sealed.end.record_bytes());
        let all = sealed.sum::<u64>() + self.end.record_bytes();
        // Forged hints may say that more is alive than there is.
        all.saturating_sub(self.live_bytes())
    }

    pub(super) fn live_bytes(&self) -> u64 {
        self.index.read().live_bytes()
    }

    /// Returns whether the disk has room for a file of `bytes` bytes and for the writes meanwhile.
    /// If that is unknown, returns true.
    pub(super) fn has_room_for(&self, bytes: u64) -> bool {
        let needed = bytes.saturating_add(self.options.reserved_bytes());
        self.dir().free_bytes().is_none_or(|free| free >= needed)
    }
}

/// Publishes `segment`, which has no records yet. `before` is the digest of the segment before it.
fn publish_empty(
    dir: LogDir<'_>,
    segment: Segment,
    before: Digest,
    failure: &Failure,
) -> Result<Arc<Segment>> {
    let complete = || {
        segment.complete(HEADER_LEN, before)?;
        segment.sync().inspect_err(|error| failure.set(error))?;
        publish(dir, &segment, failure)
    };
    if let Err(error) = complete() {
        // On a full disk even an empty file may take room. If the segment was published, it has
        // another name, and this does not remove it.
        let _ = dir.discard(&names::segment(segment.generation));
        return Err(error);
    }
    Ok(Arc::new(segment))
}

/// Makes a segment that is complete and on the disk a part of the log.
fn publish(dir: LogDir<'_>, segment: &Segment, failure: &Failure) -> Result<()> {
    segment.publish(dir)?;
    // If this fails, it is unknown whether the name survives a power cut. The log must not continue
    // in a segment that the next opening may not find.
    dir.sync().inspect_err(|error| failure.set(error))
}
