//! The requests of a connection that are in flight, oldest first.
//!
//! # Why a new write waits for the next turn
//!
//! An engine with group commit collects the writes of all connections in a batch, and commits the
//! batch when the first of their futures is polled. If a connection polled a write in the turn that
//! started it, each batch would hold the writes of one connection, although others on the same
//! thread are ready to add theirs.
//!
//! So from its first new write on, a pipeline holds all replies back, and the connection sends
//! nothing. At the end of the turn, the connection [releases](Pipeline::release_writes) the writes
//! and wakes its own task. The executor polls that task again after all tasks that were ready
//! before it. By then they have started their writes, and the first poll commits all of them with
//! one append, and one sync if that is asked for. Replies that were ready earlier then go out in
//! the same system call as those of the writes.

use std::collections::VecDeque;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::time::{Duration, Instant};

use futures::{Async, Future, Poll};
use tokio::timer::Delay;

use super::early::Early;
use super::latency::Answered;
use super::shared::Shared;
use crate::engine::EngineFuture;
use crate::error::{KvsError, Result};
use crate::protocol::{Kind, Response};
use crate::scan::{Page, Scan};
use crate::stats::EngineStats;

/// The size in bytes from which no more requests are started.
const FULL: usize = 1024 * 1024;

/// The memory in bytes that a request takes besides its own bytes.
const OVERHEAD: usize = 256;

/// The number of requests for which an idle connection keeps memory.
const IDLE: usize = 16;

/// The requests in flight.
pub(super) struct Pipeline {
    in_flight: VecDeque<InFlight>,
    /// The size of all of them.
    held: usize,
    early: Early,
    /// Whether a write has started in this turn. See the top of this file.
    has_new_writes: bool,
    /// The beginning of this turn.
    turn: Instant,
    answered: Answered,
}

struct InFlight {
    pending: Pending,
    /// The kind of the request, unless the server refused it, and the beginning of its turn.
    kind: Option<Kind>,
    since: Instant,
    /// The bytes that the request takes until it is answered, here or in the engine.
    size: usize,
    /// Whether the request is a write, or has a write before it. The engine then has to order the
    /// reads that follow.
    is_behind_writes: bool,
}

/// The reply that is due for a request.
pub(super) enum Pending {
    Get(EngineFuture<Option<String>>),
    Write(Kind, EngineFuture<()>),
    Scan(EngineFuture<Page>),
    /// A reply of so many bytes, which [`Early`] has.
    Early(usize),
    /// `None` once it is taken.
    Known(Option<Response>),
    Later(Delay, Option<Response>),
}

/// The state of the oldest request.
pub(super) enum Oldest {
    /// It is done, and no longer in the pipeline.
    Done(Response),
    /// Its reply is encoded already and has so many bytes. [`Pipeline::take_early`] removes both.
    Early(usize),
    /// It is not done, but the engine has just learned that its value takes more memory.
    Grown,
    /// There is none, or it is not done.
    Waiting,
}

impl Pipeline {
    pub(super) fn new() -> Pipeline {
        Pipeline {
            in_flight: VecDeque::new(),
            held: 0,
            early: Early::default(),
            has_new_writes: false,
            turn: Instant::now(),
            answered: Answered::default(),
        }
    }

    /// Notes that a turn begins `now`.
    pub(super) fn begin_turn(&mut self, now: Instant) {
        self.turn = now;
    }

    /// Returns the requests that were answered in this turn.
    pub(super) fn answered(&mut self) -> &mut Answered {
        &mut self.answered
    }

    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    /// Returns the memory that the requests take.
    pub(super) fn size(&self) -> usize {
        self.held + self.early.overhead()
    }

    /// Returns whether there is room for one more of `max` requests.
    pub(super) fn has_room(&self, max: usize) -> bool {
        self.in_flight.len() < max && self.held < FULL
    }

    /// Returns whether a request that is added now has a write before it.
    pub(super) fn is_behind_writes(&self) -> bool {
        let last = self.in_flight.back();
        last.is_some_and(|last| last.is_behind_writes)
    }

    /// Returns whether a scan is in flight. No request starts behind one, so it is the oldest.
    pub(super) fn has_scan(&self) -> bool {
        let oldest = self.in_flight.front();
        oldest.is_some_and(|oldest| matches!(oldest.pending, Pending::Scan(_)))
    }

    /// Adds a request, which takes `size` bytes besides its reply. If its reply is already there
    /// and no other is due before it, returns the reply instead. A refused request has no `kind`.
    pub(super) fn push(
        &mut self,
        kind: Option<Kind>,
        mut pending: Pending,
        size: usize,
    ) -> Option<Response> {
        let is_write = matches!(pending, Pending::Write(..));
        if is_write {
            // Polling the write would commit its batch. See the top of this file.
            self.has_new_writes = true;
        } else if self.in_flight.is_empty()
            && let Async::Ready(reply) = pending.poll()
        {
            // Most reads end here, and never enter the queue.
            if let Some(kind) = kind {
                self.note_answered(kind);
            }
            return Some(reply);
        }
        let size = size + pending.reply_size() + OVERHEAD;
        self.held += size;
        // A request behind this one is behind its writes, too.
        let is_behind_writes = is_write || self.is_behind_writes();
        self.in_flight.push_back(InFlight {
            pending,
            kind,
            since: self.turn,
            size,
            is_behind_writes,
        });
        None
    }

    /// Notes that a request of this turn was answered.
    pub(super) fn note_answered(&mut self, kind: Kind) {
        self.answered.add(kind, self.turn);
    }

    /// Polls the oldest request. If it is not done, registers the current task to be woken.
    pub(super) fn poll_oldest(&mut self) -> Oldest {
        let Some(oldest) = self.in_flight.front_mut() else {
            return Oldest::Waiting;
        };
        if self.has_new_writes {
            return Oldest::Waiting;
        }
        if let Pending::Early(len) = oldest.pending {
            return Oldest::Early(len);
        }
        // Later requests may be done already, but replies keep the order of the requests.
        let reply_size = oldest.pending.reply_size();
        if let Async::Ready(reply) = oldest.pending.poll() {
            self.answer_oldest();
            return Oldest::Done(reply);
        }
        // A read behind writes finds its value only when they are done. A scan may become a smaller
        // one, but memory that is reserved stays so until the reply.
        let more = oldest.pending.reply_size().saturating_sub(reply_size);
        oldest.size += more;
        self.held += more;
        if more > 0 {
            Oldest::Grown
        } else {
            Oldest::Waiting
        }
    }

    /// Removes the oldest request, which is answered now.
    fn answer_oldest(&mut self) {
        if let Some(oldest) = self.in_flight.front()
            && let Some(kind) = oldest.kind
        {
            self.answered.add(kind, oldest.since);
        }
        self.remove_oldest();
    }

    /// Drops the oldest request.
    pub(super) fn remove_oldest(&mut self) {
        let removed = self.in_flight.pop_front();
        self.held -= removed.map_or(0, |removed| removed.size);
    }

    /// Drops the newest request, if there is one.
    pub(super) fn remove_newest(&mut self) {
        let Some(removed) = self.in_flight.pop_back() else {
            return;
        };
        self.held -= removed.size;
        if let Pending::Early(len) = removed.pending {
            self.early.truncate(self.early.len() - len);
        }
    }

    /// Returns the replies of the requests that are [`Pending::Early`].
    pub(super) fn early(&mut self) -> &mut Early {
        &mut self.early
    }

    /// Calls `copy` with the reply to the oldest request, which is [`Pending::Early`] and has `len`
    /// bytes, and removes both.
    pub(super) fn take_early(&mut self, len: usize, copy: impl FnOnce(&[u8])) {
        self.early.take_oldest(len, copy);
        self.answer_oldest();
    }

    /// Returns whether replies have to wait for the next turn.
    pub(super) fn has_new_writes(&self) -> bool {
        self.has_new_writes
    }

    /// Lets the next poll begin the new writes. Returns whether there are any.
    pub(super) fn release_writes(&mut self) -> bool {
        mem::take(&mut self.has_new_writes)
    }

    /// Frees memory that a connection without requests does not need.
    pub(super) fn shrink(&mut self) {
        self.in_flight.shrink_to(IDLE);
    }
}

impl Pending {
    /// Starts a read in the engine.
    pub(super) fn get(start: impl FnOnce() -> EngineFuture<Option<String>>) -> Pending {
        Pending::started(start, Pending::Get)
    }

    /// Starts a write in the engine.
    pub(super) fn write(kind: Kind, start: impl FnOnce() -> EngineFuture<()>) -> Pending {
        Pending::started(start, |done| Pending::Write(kind, done))
    }

    /// Starts a scan in the engine. Until its page is there, the largest page counts.
    pub(super) fn scan(scan: Scan, start: impl FnOnce(Scan) -> EngineFuture<Page>) -> Pending {
        let size = scan.max_size();
        Pending::started(
            || start(scan),
            |page| {
                // The engine may say less because it reads the page only later.
                let size = size.max(page.size());
                Pending::Scan(page.with_size(size))
            },
        )
    }

    /// Asks the engine for its statistics.
    pub(super) fn stats(shared: &Shared, ask: impl FnOnce() -> EngineStats) -> Pending {
        Pending::started(ask, |engine| {
            Pending::known(Response::Stats(Box::new(shared.stats(engine))))
        })
    }

    /// Makes a request of a reply that is there.
    pub(super) fn known(reply: Response) -> Pending {
        Pending::Known(Some(reply))
    }

    /// Holds a reply back for some time.
    pub(super) fn later(reply: Response, time: Duration) -> Pending {
        Pending::Later(Delay::new(Instant::now() + time), Some(reply))
    }

    /// Calls the engine, and makes a request of its answer, or of the error if the engine panics.
    fn started<T>(call: impl FnOnce() -> T, pending: impl FnOnce(T) -> Pending) -> Pending {
        guarded(call).map_or_else(|error| Pending::known(error.into()), pending)
    }

    /// Returns the memory that the reply takes, as far as it is known and matters.
    fn reply_size(&self) -> usize {
        match self {
            Pending::Get(value) => value.size(),
            Pending::Scan(page) => page.size(),
            Pending::Early(len) => *len,
            Pending::Known(Some(Response::Err { message, .. })) => message.len(),
            _ => 0,
        }
    }

    /// Returns the reply when it is there. An error is a reply, too.
    fn poll(&mut self) -> Async<Response> {
        let polled = match self {
            Pending::Get(value) => poll_guarded(value).map(|value| value.map(Response::Get)),
            Pending::Write(kind, done) => poll_guarded(done).map(|done| {
                done.map(|()| match kind {
                    Kind::Remove => Response::Remove,
                    _ => Response::Set,
                })
            }),
            Pending::Scan(page) => {
                poll_guarded(page).map(|page| page.map(|page| Response::Scan(Box::new(page))))
            }
            // It is taken when it is the oldest one.
            Pending::Early(_) => Ok(Async::NotReady),
            Pending::Known(reply) => Ok(take(reply)),
            Pending::Later(delay, reply) => match delay.poll() {
                Ok(Async::NotReady) => Ok(Async::NotReady),
                // Without a timer the reply comes at once.
                _ => Ok(take(reply)),
            },
        };
        polled.unwrap_or_else(|error| Async::Ready(error.into()))
    }
}

fn take(reply: &mut Option<Response>) -> Async<Response> {
    reply.take().map_or(Async::NotReady, Async::Ready)
}

fn poll_guarded<T>(future: &mut EngineFuture<T>) -> Poll<T, KvsError> {
    guarded(|| future.poll()).and_then(|polled| polled)
}

/// Calls the engine. If it panics, only this request fails.
///
/// # Errors
///
/// [`KvsError::EngineStopped`] if the engine panics.
pub(super) fn guarded<T>(call: impl FnOnce() -> T) -> Result<T> {
    // A future that has panicked is not polled again, so its state does not matter.
    panic::catch_unwind(AssertUnwindSafe(call)).map_err(|_| KvsError::EngineStopped {
        reason: "it panicked".to_owned(),
    })
}
