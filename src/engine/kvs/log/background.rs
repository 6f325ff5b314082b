//! The background jobs: which one runs, and which comes next.
//!
//! ```text
//! a sealed segment has no hints:  Idle ─► Hints ─► Idle
//! too many bytes are dead:        Idle ─► Sync ─► Compaction ─► Switching ─► Switch ─► Removing
//!                                                                     Idle ◄─ Removal ◄─┘
//! ```
//!
//! Compaction goes through the log piece by piece, from its beginning to the segment that is active
//! when the [`Pass`] begins. Only the first piece has the `Sync`.
//!
//! `Hints`, `Sync`, `Compaction`, `Switch` and `Removal` are [jobs](Job): while they run, the state
//! is [`State::Running`]. The pool takes their steps. When the last step has ended, the writer
//! applies the result and starts the next job, so only the writer changes the log.
//!
//! If a job fails, the next one starts after a pause: a failed switch again from `Switching`, a
//! failed removal from `Removing`, and everything else from `Idle`. If a compaction or a switch
//! meets damage, the state is `Off` for good.

use std::fmt::Display;
use std::mem;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::compaction::{Compaction, Switch};
use super::end::End;
use super::job::{Job, JobHandle};
use super::removal::Removal;
use super::segments::Segments;
use crate::engine::kvs::format::hints;
use crate::engine::kvs::format::names::{self, Generation};
use crate::engine::kvs::format::segment::{HEADER_LEN, Origin, Segment};
use crate::engine::kvs::journal::Journal;
use crate::error::{KvsError, Result};

/// The background jobs of a log, of which at most one runs at a time.
#[derive(Debug, Default)]
pub(super) struct Background {
    state: State,
    /// The number of jobs that have failed since the last compaction.
    failed_jobs: u32,
    /// The delay of the next job, if the last one failed or had no room on the disk.
    pause: Option<Pause>,
    /// Whether a warning about compaction was logged since the last compaction.
    has_warned: bool,
    /// The time at which a compaction last took effect.
    compacted: Option<Instant>,
    /// The pass whose pieces are not all compacted.
    pass: Option<Pass>,
}

/// A pass of compaction over the log, from its beginning. Where it arrives, a tombstone hides
/// nothing any more: the segments before are copies that were made after it was written.
#[derive(Debug, Clone, Copy)]
struct Pass {
    /// The generation from which on segments are not compacted yet.
    next: Generation,
    /// The newest segment.
    last: Generation,
}

#[derive(Debug, Default)]
enum State {
    /// No job runs.
    #[default]
    Idle,
    /// A job runs. The state lasts until the pool reports the result, even if the job was given up:
    /// the writer would take the result for that of the next job.
    Running(JobHandle),
    /// The output of a compaction is published, and no job runs that points readers at it. The log
    /// is sound in this state, but the old segments take room.
    Switching(Switch),
    /// The log needs the segments no more that a compaction has replaced, and no job runs that
    /// removes them.
    Removing(Removal),
    /// No job starts any more: one has met damage, or the log is closing.
    Off,
}

impl Background {
    /// Returns the time at which a compaction last took effect.
    pub(super) fn compacted(&self) -> Option<Instant> {
        self.compacted
    }

    /// Returns whether there is a job that can start now.
    pub(super) fn wants_job(&self, segments: &Segments) -> bool {
        if self.is_paused() {
            return false;
        }
        match self.state {
            State::Idle => {
                self.wants_compaction(segments)
                    || segments.sealed.values().any(|sealed| sealed.wants_hints)
            }
            State::Switching(_) | State::Removing(_) => true,
            State::Running(_) | State::Off => false,
        }
    }

    /// Applies the result of the job that has ended, if one has, and starts the next one. Returns
    /// the new job.
    pub(super) fn schedule(
        &mut self,
        segments: &mut Segments,
        ended: Option<Result<()>>,
    ) -> Option<JobHandle> {
        let finished = match ended {
            Some(result) => self.finish(segments, result),
            None => Ok(false),
        };
        // The reason why writing has stopped is in the log lines already. No other job can help.
        segments.failure.check().ok()?;
        let started = finished.and_then(|is_synced| self.start(segments, is_synced));
        started.unwrap_or_else(|error| {
            self.pause_after_failure();
            self.warn_once(segments.journal(), &error);
            None
        })
    }

    /// Applies the result of the running job. Returns whether the job has synced the log.
    fn finish(&mut self, segments: &mut Segments, result: Result<()>) -> Result<bool> {
        let State::Running(handle) = &self.state else {
            return Ok(false);
        };
        let job = handle.take();
        self.state = State::Idle;
        match job {
            // The job was given up, and its file is removed.
            None => {}
            // The compaction starts at once, before there is more to sync.
            Some(Job::Sync) => return result.map(|()| true),
            Some(Job::Hints(writer)) => finish_hints(segments, writer, result),
            Some(Job::Compaction(compaction)) => {
                self.finish_compaction(segments, compaction, result)?;
            }
            Some(Job::Switch(switch)) => self.finish_switch(segments, switch, result)?,
            Some(Job::Removal(removal)) => {
                if result.is_err() {
                    self.state = State::Removing(removal);
                }
                return result.map(|()| false);
            }
        }
        Ok(false)
    }

    /// Publishes the output of a compaction. Readers follow in the background.
    fn finish_compaction(
        &mut self,
        segments: &mut Segments,
        compaction: Compaction,
        result: Result<()>,
    ) -> Result<()> {
        if let Err(error) = result {
            compaction.discard(segments.dir(), segments.journal());
            return self.stop_at_damage(segments.journal(), error);
        }
        let output = compaction.output().clone();
        if let Err(error) = segments.publish_output(&output) {
            compaction.discard_unless_published(segments.dir(), segments.journal());
            return Err(error);
        }
        let hints = compaction.hints();
        if let Err(error) = hints.publish(segments.dir()) {
            segments.warn_of_hints(&error);
            compaction.discard_hints(segments.dir(), segments.journal());
        }
        self.state = State::Switching(Switch::new(output, hints));
        Ok(())
    }

    /// Takes the segments out of the log that readers do not use any more.
    fn finish_switch(
        &mut self,
        segments: &mut Segments,
        switch: Switch,
        result: Result<()>,
    ) -> Result<()> {
        if let Err(error) = result {
            self.state = State::Switching(switch);
            return self.stop_at_damage(segments.journal(), error);
        }
        self.compacted = Some(Instant::now());
        // A compaction that fails at its end begins with jobs that succeed, so these must not end
        // the count.
        self.failed_jobs = 0;
        self.has_warned = false;
        let output = switch.into_output();
        let next = output.segment.generation + 1;
        let pass = self.pass.map(|pass| Pass { next, ..pass });
        self.pass = pass.filter(|pass| pass.next <= pass.last);
        self.state = State::Removing(segments.replace_by(output));
        Ok(())
    }

    /// Stops all jobs if `error` is damage, and returns every other error. A repair needs the old
    /// segments, so no later compaction may remove them.
    fn stop_at_damage(&mut self, journal: &Journal, error: KvsError) -> Result<()> {
        let KvsError::Damaged { .. } = error else {
            return Err(error);
        };
        let line = format_args!("no more compaction until this is repaired: {error}");
        journal.warn(line);
        self.state = State::Off;
        Ok(())
    }

    /// Starts the next job, if there is one. `is_synced` tells that the log was synced just now.
    fn start(&mut self, segments: &mut Segments, is_synced: bool) -> Result<Option<JobHandle>> {
        if self.is_paused() {
            return Ok(None);
        }
        self.pause = None;
        let job = match mem::take(&mut self.state) {
            State::Idle => self.next_job(segments, is_synced)?,
            State::Switching(switch) => Some(Job::Switch(switch)),
            State::Removing(removal) => Some(Job::Removal(removal)),
            state @ (State::Running(_) | State::Off) => {
                self.state = state;
                return Ok(None);
            }
        };
        let handle = job.map(JobHandle::new);
        if let Some(handle) = &handle {
            self.state = State::Running(handle.clone());
        }
        Ok(handle)
    }

    /// Returns the job that follows the state `Idle`, if there is one.
    fn next_job(&mut self, segments: &mut Segments, is_synced: bool) -> Result<Option<Job>> {
        // The pass does not come to the segments that were written since it began, so their hints
        // do not wait for its end.
        let after_pass = self.pass.map_or(Generation::MAX, |pass| pass.last + 1);
        if let Some(writer) = self.start_hints(segments, after_pass) {
            return Ok(Some(Job::Hints(writer)));
        }
        if !self.wants_compaction(segments) {
            return Ok(self.start_hints(segments, 0).map(Job::Hints));
        }
        let pass = self.pass.unwrap_or_else(|| Pass::over(segments));
        let inputs = pass.next_piece(segments);
        let copied = inputs.iter().map(|(_, live)| live).sum();
        // Hints are at most as long as their segment.
        let hints = segments.index.read().hint_bytes().min(copied);
        // The output and the new active segment have a header each.
        if !segments.has_room_for(copied + hints + 2 * HEADER_LEN) {
            self.pause = Some(Pause::for_room());
            let dir = segments.dir().path();
            let reason = format_args!("{dir:?} has no room for a copy of {copied} live bytes");
            self.warn_once(segments.journal(), &reason);
            return Ok(None);
        }
        if self.pass.is_none() {
            if !is_synced {
                return Ok(Some(Job::Sync));
            }
            segments.roll()?;
            self.pass = Some(pass);
        }
        start_compaction(segments, &inputs).map(|it| Some(Job::Compaction(it)))
    }

    fn wants_compaction(&self, segments: &Segments) -> bool {
        let max_dead = segments
            .options
            .max_dead_bytes(segments.live_bytes(), self.compacted);
        // Segments of format 1 are rewritten once, so that opening need not read them each time.
        self.pass.is_some() || segments.dead_bytes() >= max_dead || segments.has_unproven()
    }

    /// Begins the hints of a sealed segment that has none, of the generation `first` or later.
    fn start_hints(
        &mut self,
        segments: &mut Segments,
        first: Generation,
    ) -> Option<hints::Rewriter> {
        let mut sealed = segments.sealed.range(first..).map(|(_, sealed)| sealed);
        let sealed = sealed.find(|sealed| sealed.wants_hints)?;
        let (segment, len) = (Arc::clone(&sealed.end.segment), sealed.end.len);
        // Hints are at most as long as their segment.
        if !segments.has_room_for(len) {
            self.pause = Some(Pause::for_room());
            return None;
        }
        // There is one attempt only: the store works without hints, and opens more slowly.
        segments.sealed.get_mut(&segment.generation)?.wants_hints = false;
        hints::Rewriter::new(segments.dir(), segment, len)
            .inspect_err(|error| segments.warn_of_hints(error))
            .ok()
    }

    /// Gives the running job up if that frees room on the disk. Returns whether it did.
    pub(super) fn give_up(&mut self, segments: &Segments) -> bool {
        let State::Running(handle) = &self.state else {
            return false;
        };
        let Some(job) = handle.take_if_large() else {
            return false;
        };
        job.discard(segments.dir(), segments.journal());
        // Otherwise the job would start again at once, and take the room from the writes.
        self.pause_after_failure();
        true
    }

    /// Stops all jobs for good, and gives the running one up. Returns whether the index may be
    /// written to a checkpoint: it must have no location in a segment that a published output
    /// replaces, and compaction must have met no damage, because the next opening should find that
    /// as well.
    pub(super) fn stop(&mut self, segments: &Segments) -> bool {
        match mem::replace(&mut self.state, State::Off) {
            State::Idle => true,
            State::Removing(removal) => {
                removal.finish();
                true
            }
            State::Switching(_) | State::Off => false,
            State::Running(handle) => match handle.take() {
                None => true,
                Some(Job::Switch(_)) => false,
                Some(job) => {
                    job.discard(segments.dir(), segments.journal());
                    true
                }
            },
        }
    }

    /// Counts a commit, which brings the end of a pause nearer.
    pub(super) fn count_commit(&mut self) {
        if let Some(pause) = &mut self.pause {
            pause.commits = pause.commits.saturating_sub(1);
        }
    }

    fn is_paused(&self) -> bool {
        self.pause.as_ref().is_some_and(|pause| !pause.is_over())
    }

    /// Delays the next job, by a longer time after each failure.
    fn pause_after_failure(&mut self) {
        const MAX_DOUBLINGS: u32 = 16;
        self.failed_jobs += 1;
        let commits = 1 << self.failed_jobs.min(MAX_DOUBLINGS);
        self.pause = Some(Pause::of(commits, self.failed_jobs));
    }

    fn warn_once(&mut self, journal: &Journal, reason: &dyn Display) {
        if !mem::replace(&mut self.has_warned, true) {
            journal.warn(format_args!(
                "cannot compact for now, and will try again: {reason}"
            ));
        }
    }
}

impl Pass {
    /// Returns a pass over the whole log. The active segment has to be sealed before it begins.
    fn over(segments: &Segments) -> Pass {
        Pass {
            next: 0,
            last: segments.end.segment.generation,
        }
    }

    /// Returns the next segments that are compacted to one, oldest first, with their live bytes.
    fn next_piece(self, segments: &Segments) -> Vec<(End, u64)> {
        let Pass { next, last, .. } = self;
        // If half of the bytes are alive, the copy is as long as a full segment.
        let max_len = segments.max_len.saturating_mul(2);
        let (mut piece, mut len) = (Vec::<(End, u64)>::new(), 0);
        let index = segments.index.read();
        for end in segments.from(next) {
            let generation = end.segment.generation;
            // The copy gets the number after that of its last input, so this must be free.
            let takes = |(it, _): &(End, u64)| it.segment.generation + 1 == generation;
            let is_taken = piece.last().is_some_and(takes);
            let live = index.live_bytes_of(generation);
            // A segment without live bytes is not read.
            if live > 0 {
                len += end.record_bytes();
            }
            if generation > last || (len > max_len && !piece.is_empty() && !is_taken) {
                break;
            }
            piece.push((end.clone(), live));
        }
        piece
    }
}

/// Begins to copy the live records of the sealed segments `inputs` to a new one.
fn start_compaction(segments: &Segments, inputs: &[(End, u64)]) -> Result<Compaction> {
    let dir = segments.dir();
    let (first, last) = (&inputs[0].0.segment, &inputs[inputs.len() - 1].0.segment);
    let generation = last.generation + 1;
    let next = segments.from(generation).next().unwrap_or(&segments.end);
    let origin = Origin::Compacted {
        after: first.origin.before_first(),
        upto: next.segment.origin.before_first(),
    };
    let output = Segment::create(dir, generation, origin, segments.salt())?;
    let output = Arc::new(output);
    let hints = hints::Writer::new(dir, Arc::clone(&output)).inspect_err(|_| {
        let _ = dir.discard(&names::segment(generation));
    })?;
    // A store whose keys are often written again has old segments that need not be read.
    let inputs = inputs.iter().filter(|(_, live)| *live > 0);
    let (inputs, failure) = (inputs.map(|(end, _)| end), segments.failure.clone());
    Ok(Compaction::new(dir, inputs, output, hints, failure))
}

/// Publishes complete hints, or removes them after an error.
fn finish_hints(segments: &Segments, writer: hints::Rewriter, result: Result<()>) {
    if let Err(error) = result.and_then(|()| writer.publish(segments.dir())) {
        segments.warn_of_hints(&error);
        Job::Hints(writer).discard(segments.dir(), segments.journal());
    }
}

/// A delay of the next job: a number of commits or a time, whichever ends first. Many commits end
/// it early, since a full disk may have room again at any moment.
#[derive(Debug)]
struct Pause {
    commits: u32,
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

    fn is_over(&self) -> bool {
        self.commits == 0 || self.until <= Instant::now()
    }
}
