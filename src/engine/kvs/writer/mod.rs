//! Group commit: queued writes are committed together, by one thread at a time.
//!
//! # The writer's turn
//!
//! The log has no lock around it. It lies in the queue, and a thread that takes it out has the
//! **writer's turn**: it alone appends to the log, changes the index and schedules background jobs,
//! until it puts the log back. The first poll of a write's future takes the turn and commits all
//! queued writes, unless
//!
//! - another thread has the turn. That thread, or a run that it spawns, commits the write;
//! - the commit might have to wait for the disk. Then a [run](Writer::run) on the pool commits it.
//!
//! So a thread that puts the log back looks at the queue in the same critical section. A write that
//! is queued later finds the log there.
//!
//! # The order of work
//!
//! The pool, the waiting tasks and the logger are the user's code. They may call the store, wait
//! for it, and close it. So [`WriteTurn`] gives the log back first, and calls them after that.
//!
//! # The order of locks
//!
//! A thread takes them from left to right, and may leave some out:
//!
//! ```text
//! the turn -> queue -> promise
//! the turn -> background job -> index
//!                            -> Syncer::watermark -> Syncer::dirty
//! ```
//!
//! A write is encoded into its batch under the lock of the queue. No thread waits while it holds
//! that lock, except on [`Writer::turn_is_free`], which releases it. The locks of the journal, the
//! statistics and the pool are held for a moment, and nothing is locked inside them.

mod gather;
mod promise;
mod queue;

use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;
use std::time::Instant;

use self::promise::{Commit, Promise, Tasks};
use self::queue::{Batch, MAX_SPARE, Queue};
use crate::engine::EngineFuture;
use crate::engine::kvs::format::scanner::Step;
use crate::engine::kvs::index::Index;
use crate::engine::kvs::log::failure::Failure;
use crate::engine::kvs::log::job::JobHandle;
use crate::engine::kvs::log::syncer::Syncer;
use crate::engine::kvs::log::{Log, LogStats, Op, Outcome, Request};
use crate::engine::kvs::pool::Pool;
use crate::engine::kvs::reader::Reader;
use crate::error::{KvsError, Result};
use crate::sync::{Condvar, Mutex};
use crate::thread_pool::ThreadPool;

/// The number of batches that a run commits before other jobs may use its thread. Continuing on the
/// same thread saves waking another one.
const COMMITS_IN_A_ROW: usize = 16;

/// The writing half of a store.
#[derive(Debug)]
pub(crate) struct Writer<P: ThreadPool> {
    queue: Mutex<Queue>,
    /// Notified when the turn is given back, when queued writes are given up, and when the store
    /// closes.
    turn_is_free: Condvar,
    /// Notified when as many requests are queued as the next commit waits for.
    is_gathered: Condvar,
    /// The statistics after the last turn.
    stats: Mutex<LogStats>,
    reader: Arc<Reader<P>>,
    syncer: Arc<Syncer>,
    failure: Failure,
    /// Bytes of old segments that a background job reads in one step.
    step_bytes: usize,
    pool: Arc<Pool<P>>,
}

impl<P: ThreadPool> Writer<P> {
    pub(crate) fn new(log: Log, reader: Arc<Reader<P>>, pool: Arc<Pool<P>>) -> Writer<P> {
        Writer {
            turn_is_free: Condvar::new(),
            is_gathered: Condvar::new(),
            stats: Mutex::new(log.stats()),
            reader,
            syncer: Arc::clone(log.syncer()),
            failure: log.failure().clone(),
            step_bytes: log.step_bytes(),
            pool,
            queue: Mutex::new(Queue::new(log)),
        }
    }

    /// Queues a write. It is committed when its future is polled or dropped.
    pub(crate) fn write(self: &Arc<Self>, request: Request<'_>) -> EngineFuture<()> {
        let mut queue = self.queue.lock();
        let (promise, n) = self.push(&mut queue, request);
        EngineFuture::deferred(promise, n)
    }

    /// Queues a read of `key` behind the writes that are queued, or returns `None` if none of them
    /// writes it. A read of it then needs no turn.
    pub(crate) fn read_in_order(
        self: &Arc<Self>,
        key: &str,
    ) -> Option<EngineFuture<Option<String>>> {
        let mut queue = self.queue.lock();
        if !queue.may_write(key) {
            return None;
        }
        let op = Op::Get;
        let (promise, n) = self.push(&mut queue, Request { key, op });
        Some(EngineFuture::deferred(promise, n))
    }

    /// Returns whether a write of `key` may be pending, as [`Queue::may_write`] does.
    pub(crate) fn may_write(&self, key: &str) -> bool {
        self.queue.lock().may_write(key)
    }

    fn push(self: &Arc<Self>, queue: &mut Queue, request: Request<'_>) -> (Arc<Promise>, usize) {
        let pushed = queue.push(request, self);
        if queue.is_gathered() {
            self.is_gathered.notify_one();
        }
        pushed
    }

    pub(crate) fn stats(&self) -> LogStats {
        *self.stats.lock()
    }

    /// Takes the writer's turn, unless another thread has it. That thread looks at the queue again
    /// when it gives the turn back.
    fn take_turn<'a>(self: &'a Arc<Self>, queue: &mut Queue) -> Option<WriteTurn<'a, P>> {
        let log = queue.take_log()?;
        Some(WriteTurn { writer: self, log })
    }

    /// Commits the queued writes and schedules the next background job. May wait for the disk, so
    /// it runs on the pool.
    fn run(self: &Arc<Self>) {
        for _ in 0..COMMITS_IN_A_ROW {
            let mut queue = self.queue.lock();
            if queue.is_gathering() {
                // That run does all that this one would do.
                return;
            }
            if let Some(patience) = queue.begin_to_gather() {
                let is_short = |queue: &mut Queue| queue.is_short();
                self.is_gathered
                    .wait_while_for(&mut queue, is_short, patience);
                queue.end_gathering();
            }
            if queue.is_empty() {
                break;
            }
            let Some(turn) = self.take_turn(&mut queue) else {
                // That thread spawns another run if there is more to do after its turn.
                return;
            };
            drop(queue);
            turn.commit();
        }
        let mut queue = self.queue.lock();
        if queue.is_closing() {
            // Closing gives the background job up, whether it has ended or not.
            return;
        }
        if let Some(turn) = self.take_turn(&mut queue) {
            let job_result = queue.take_job_result();
            drop(queue);
            turn.schedule_job(job_result);
        }
    }

    /// Spawns a run. The caller has noted in the queue that one is scheduled.
    fn spawn_run(self: &Arc<Self>) {
        let run = |writer: Arc<Self>| {
            writer.queue.lock().run_arrived();
            writer.run();
        };
        let dropped = |writer: Arc<Self>| {
            // The pool would drop the next run, too. So all queued requests fail.
            let mut queue = writer.queue.lock();
            queue.run_arrived();
            let tasks = queue.give_up();
            writer.turn_is_free.notify_all();
            drop(queue);
            tasks.into_iter().for_each(Tasks::wake);
        };
        self.pool.spawn_or(Arc::clone(self), run, dropped);
    }

    /// Spawns the next step of a background job.
    fn spawn_step(self: &Arc<Self>, job: JobHandle) {
        let step = |(writer, job): (Arc<Self>, JobHandle)| writer.step(job);
        let dropped = |(writer, _): (Arc<Self>, JobHandle)| {
            let reason = "the pool has dropped the job".to_owned();
            let error = KvsError::EngineStopped { reason };
            // The next commit applies it, and schedules another job.
            writer.queue.lock().put_job_result(Err(error));
        };
        self.pool.spawn_or((Arc::clone(self), job), step, dropped);
    }

    /// Takes one step of a background job. The step after it is a job of its own for the pool, so
    /// that reads that arrived meanwhile run first.
    fn step(self: &Arc<Self>, job: JobHandle) {
        if self.queue.lock().is_closing() {
            return;
        }
        let stepped = job.step(&self.reader.index, &self.syncer, self.step_bytes);
        self.failure.journal.write_out();
        let result = match stepped {
            Ok(Step::More) => return self.spawn_step(job),
            Ok(Step::Done) => Ok(()),
            Err(error) => Err(error),
        };
        self.queue.lock().put_job_result(result);
        self.run();
    }

    /// Waits for the turn, commits the queued writes and closes the log. `release` frees the
    /// directory before the tasks are woken, because they may open it again.
    ///
    /// Runs on any thread, also in a task that the store wakes and in a logger that it calls.
    pub(crate) fn close(&self, release: impl FnOnce()) {
        let mut queue = self.queue.lock();
        queue.begin_to_close();
        // The other threads in `complete` stop waiting for the turn.
        self.turn_is_free.notify_all();
        let mut log = loop {
            match queue.take_log() {
                Some(log) => break log,
                None => self.turn_is_free.wait(&mut queue),
            }
        };
        let waiting = queue.take_all();
        drop(queue);
        let committed: Vec<_> = waiting
            .into_iter()
            .map(|mut batch| (self.commit(&mut log, &mut batch), batch))
            .collect();
        log.close();
        drop(log);
        release();
        // All promises are kept before the first task is woken, because it may wait for another.
        let tasks: Vec<_> = committed
            .into_iter()
            .map(|(outcome, batch)| batch.promise.keep(outcome))
            .collect();
        tasks.into_iter().for_each(Tasks::wake);
        self.failure.journal.write_out();
    }

    /// Commits `batch` to the log. After a panic, the log takes no more writes.
    fn commit(&self, log: &mut Log, batch: &mut Batch) -> Outcome {
        let get = |index: &Index, key: &str| self.reader.get_later(index, key);
        self.guarded(|| log.commit(&mut batch.requests, &get))
            .unwrap_or_else(Outcome::given_up)
    }

    /// Calls `use_log`, and returns `None` if it panics. The log may be half changed then, so only
    /// opening the store again can make sure of it. The panic must not spread, or the log would be
    /// lost, and closing the store would wait for it forever.
    fn guarded<T>(&self, use_log: impl FnOnce() -> T) -> Option<T> {
        // The panic hook has reported the panic.
        let used = panic::catch_unwind(AssertUnwindSafe(use_log)).ok();
        if used.is_none() {
            self.failure.set("the thread that wrote it panicked");
        }
        used
    }
}

impl<P: ThreadPool> Commit for Writer<P> {
    fn start(self: Arc<Self>) {
        let mut queue = self.queue.lock();
        if queue.is_taken_care_of() {
            return;
        }
        if queue.can_commit_at_once()
            && let Some(turn) = self.take_turn(&mut queue)
        {
            drop(queue);
            turn.commit();
        } else if queue.schedule(false) {
            drop(queue);
            self.spawn_run();
        }
    }

    /// The thread that commits runs none of the user's code meanwhile, so the wait ends. A store
    /// that is closing keeps the promise later, and wakes the tasks that wait for it.
    fn complete(self: Arc<Self>, promise: &Promise) {
        let mut queue = self.queue.lock();
        while !promise.is_kept() && !queue.is_closing() {
            // If the queue is empty, the batch is with the thread that has the turn.
            let turn = if queue.is_empty() {
                None
            } else {
                self.take_turn(&mut queue)
            };
            match turn {
                Some(turn) => {
                    drop(queue);
                    turn.commit();
                    queue = self.queue.lock();
                }
                None => self.turn_is_free.wait(&mut queue),
            }
        }
    }
}

/// The writer's turn: the log, and the duty to give it back. Each method does that.
#[derive(Debug)]
struct WriteTurn<'a, P: ThreadPool> {
    writer: &'a Arc<Writer<P>>,
    log: Log,
}

/// The user's code that a thread has to call after its turn.
struct AfterTurn {
    tasks: Option<Tasks>,
    job: Option<JobHandle>,
}

impl<P: ThreadPool> WriteTurn<'_, P> {
    /// Commits the next batch.
    fn commit(mut self) {
        let batch = self.writer.queue.lock().next_batch();
        let tasks = batch.map(|mut batch| {
            let (len, start) = (batch.requests.len(), Instant::now());
            let outcome = self.writer.commit(&mut self.log, &mut batch);
            // This may free many bytes, which takes time.
            let mut spare = mem::take(&mut batch.requests);
            spare.clear(MAX_SPARE);
            let mut queue = self.writer.queue.lock();
            queue.finish_batch(len, start.elapsed(), spare);
            drop(queue);
            // A caller that sees its write complete must find it in the statistics.
            self.update_stats();
            // The promise is kept before the turn is given back: `complete` waits for the turn, and
            // then asks for the promise.
            batch.promise.keep(outcome)
        });
        let has_jobs = self.log.wants_job();
        self.give_back(has_jobs, AfterTurn { tasks, job: None });
    }

    /// Applies the result of a background job, and starts the next one.
    fn schedule_job(mut self, job_result: Option<Result<()>>) {
        let scheduled = self.writer.guarded(|| self.log.schedule_job(job_result));
        let job = scheduled.flatten();
        self.update_stats();
        self.give_back(false, AfterTurn { tasks: None, job });
    }

    fn update_stats(&self) {
        *self.writer.stats.lock() = self.log.stats();
    }

    /// Gives the log back, spawns a run if there is more to do, and then calls the user's code.
    fn give_back(self, has_jobs: bool, after: AfterTurn) {
        let WriteTurn { writer, log } = self;
        let mut queue = writer.queue.lock();
        queue.give_back(log);
        let needs_run = queue.schedule(has_jobs);
        writer.turn_is_free.notify_all();
        drop(queue);
        // The tasks are woken last, because they may wait for the run.
        if needs_run {
            writer.spawn_run();
        }
        if let Some(job) = after.job {
            writer.spawn_step(job);
        }
        if let Some(tasks) = after.tasks {
            tasks.wake();
        }
        writer.failure.journal.write_out();
    }
}
