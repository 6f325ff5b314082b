//! The background jobs of the log: which one runs, and which comes next.

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::compaction::{Compaction, Switch};
use super::job::{self, Job, Work};
use super::recovery::Sealed;
use super::{Log, publish};
use crate::engine::kvs::format::hints;
use crate::engine::kvs::format::segment::{self, Origin, Segment};
use crate::error::{KvsError, Result};
use crate::sync::Mutex;

impl Log {
    /// Gives up the background job if that frees room on the disk. Returns whether it did.
    pub(super) fn give_up_job(&mut self) -> bool {
        let job = self.job.clone();
        let has_room_now =
            job.is_some_and(|job| job.lock().give_up(self.dir(), &self.failure.journal));
        if has_room_now {
            self.pause_after_failure();
        }
        has_room_now
    }

    /// Whether there is something to be done in the background.
    pub(crate) fn is_untidy(&self) -> bool {
        self.job.is_none()
            && !self.is_damaged
            && !self.is_paused()
            && (self.switch.is_some()
                || self.wants_compaction()
                || self.sealed.values().any(|sealed| sealed.wants_hints))
    }

    fn wants_compaction(&self) -> bool {
        let live = self.index.read().live_bytes();
        // Segments of format 1 are rewritten once, so that opening need not read them each time.
        self.dead_bytes() >= self.options.max_dead_bytes(live, self.compacted)
            || self.has_unproven()
    }

    fn is_paused(&self) -> bool {
        let is_over = |pause: &Pause| pause.commits == 0 || pause.until <= Instant::now();
        self.pause.as_ref().is_some_and(|pause| !is_over(pause))
    }

    /// Delays the next background job, by a longer time for each failure in a row.
    fn pause_after_failure(&mut self) {
        self.failed_jobs += 1;
        self.pause = Some(Pause::of(1 << self.failed_jobs.min(16), self.failed_jobs));
    }

    /// Has what was done in the background take effect, and says what is to be done there next.
    pub(crate) fn tidy(&mut self, done: Option<Result<()>>) -> Option<Job> {
        let finished = match done {
            Some(result) => self.finish(result),
            None => Ok(false),
        };
        if self.failure.check().is_err() {
            return None;
        }
        let is_synced = match finished {
            Ok(is_synced) => is_synced,
            Err(error) => {
                self.pause_after_failure();
                self.warn_once(&error);
                return None;
            }
        };
        if self.job.is_some() || self.is_damaged || self.is_paused() {
            return None;
        }
        match self.next_work(is_synced) {
            Ok(work) => {
                self.job = work.map(|work| Arc::new(Mutex::new(work)));
                self.job.clone()
            }
            Err(error) => {
                self.pause_after_failure();
                self.warn_once(&error);
                None
            }
        }
    }

    fn warn_once(&mut self, reason: &dyn fmt::Display) {
        if !mem::replace(&mut self.has_warned, true) {
            self.failure.journal.warn(format_args!(
                "cannot compact for now, and will try again: {reason}"
            ));
        }
    }

    /// Applies the result of the background job. Returns whether the job was a sync.
    fn finish(&mut self, result: Result<()>) -> Result<bool> {
        let Some(job) = self.job.take() else {
            return Ok(false);
        };
        let work = mem::replace(&mut *job.lock(), Work::GivenUp);
        match work {
            Work::Sync => return result.map(|()| true),
            Work::Hints(writer) => {
                if let Err(error) = result.and_then(|()| writer.publish(self.dir())) {
                    self.failure
                        .journal
                        .warn(format_args!("continuing without hints: {error}"));
                    job::remove_hints(self.dir(), &writer, &self.failure.journal);
                }
            }
            Work::Compaction(compaction) => match result {
                Ok(()) => self.publish_compaction(compaction)?,
                Err(error) => {
                    compaction.abandon(self.dir(), &self.failure.journal);
                    return self.fail_compaction(error);
                }
            },
            Work::Switch(switch) => match result {
                Ok(()) => self.finish_compaction(&switch),
                Err(error) => {
                    self.switch = Some(switch);
                    return self.fail_compaction(error);
                }
            },
            Work::GivenUp => {}
        }
        Ok(false)
    }

    fn fail_compaction(&mut self, error: KvsError) -> Result<bool> {
        if let KvsError::Damaged { .. } = error {
            self.failure.journal.warn(format_args!(
                "no more compaction until this is repaired: {error}"
            ));
            self.is_damaged = true;
            return Ok(false);
        }
        Err(error)
    }

    fn next_work(&mut self, is_synced: bool) -> Result<Option<Work>> {
        self.pause = None;
        if let Some(switch) = self.switch.take() {
            return Ok(Some(Work::Switch(switch)));
        }
        if !self.wants_compaction() {
            return Ok(self.start_hints().map(Work::Hints));
        }
        let live = self.index.read().live_bytes();
        // The output, and the new active segment.
        if !self.has_room_for(live + 2 * segment::HEADER_LEN) {
            self.pause = Some(Pause::for_room());
            let dir = self.dir().path();
            let reason = format!("{dir:?} has no room for a copy of the {live} live bytes");
            self.warn_once(&reason);
            return Ok(None);
        }
        match is_synced {
            true => self.start_compaction().map(Work::Compaction).map(Some),
            false => Ok(Some(Work::Sync)),
        }
    }

    fn start_compaction(&mut self) -> Result<Compaction> {
        // The output comes between what it replaces and what is written meanwhile.
        let generation = self.active.generation + 1;
        let upto = self.sequence;
        let origin = Origin::Compacted { upto };
        let output = Segment::create(self.dir(), generation, origin, self.active.salt)?;
        let rolled = self.roll(generation + 1);
        let inputs = self.sealed.values();
        let inputs = inputs.map(|sealed| (Arc::clone(&sealed.segment), sealed.len));
        let failure = self.failure.clone();
        let compaction = Compaction::new(inputs.collect(), Arc::new(output), failure);
        match rolled {
            Ok(()) => Ok(compaction),
            Err(error) => {
                compaction.abandon(self.dir(), &self.failure.journal);
                Err(error)
            }
        }
    }

    /// Replaces everything that was sealed before a compaction by its output, on the disk. Readers
    /// follow in the background.
    fn publish_compaction(&mut self, compaction: Compaction) -> Result<()> {
        let (output, len, digest) = compaction.output();
        // What was left out is dead because of newer writes. A power cut that took those would
        // take the key with them.
        let published = self.syncer.sync();
        if let Err(error) = published.and_then(|()| publish(self.dir(), &output, &self.failure)) {
            compaction.remove_unpublished(self.dir(), &self.failure.journal);
            return Err(error);
        }
        self.index.write().add_segment(Arc::clone(&output));
        self.switch = Some(Switch::new(output, len, digest));
        Ok(())
    }

    fn finish_compaction(&mut self, switch: &Switch) {
        let (segment, len, digest) = switch.output();
        self.compacted = Some(Instant::now());
        self.failed_jobs = 0;
        self.has_warned = false;
        self.replace_inputs(Sealed {
            segment,
            len,
            digest,
            is_proven: true,
            wants_hints: true,
        });
    }

    /// Begins the hints of a sealed segment that has none.
    fn start_hints(&mut self) -> Option<hints::Writer> {
        let mut without = self.sealed.values().filter(|sealed| sealed.wants_hints);
        let sealed = without.next()?;
        let (generation, len) = (sealed.segment.generation, sealed.len);
        // Hints are at most as long as their segment.
        if !self.has_room_for(len) {
            self.pause = Some(Pause::for_room());
            return None;
        }
        let sealed = self.sealed.get_mut(&generation)?;
        sealed.wants_hints = false;
        let segment = Arc::clone(&sealed.segment);
        hints::Writer::new(self.dir(), segment, len)
            .inspect_err(|error| {
                let line = format_args!("continuing without hints: {error}");
                self.failure.journal.warn(line);
            })
            .ok()
    }
}

/// How long background jobs wait before they try again: a number of commits or a time, whichever
/// ends first. Many commits end it early, since a full disk may have room again at any moment.
#[derive(Debug)]
pub(super) struct Pause {
    pub(super) commits: u32,
    until: Instant,
}

impl Pause {
    fn of(commits: u32, seconds: u32) -> Pause {
        const LONGEST: u32 = 60;
        let time = Duration::from_secs(seconds.min(LONGEST).into());
        Pause {
            commits,
            until: Instant::now() + time,
        }
    }

    /// Returns the pause before the next check of the free room, which costs no more than a write.
    fn for_room() -> Pause {
        Pause::of(64, 1)
    }
}
