//! Group commit: queued writes are committed together, by one thread at a time.

pub(crate) mod promise;
pub(crate) mod queue;

use std::mem;
use std::sync::Arc;
use std::thread;

use self::promise::{Promise, Tasks};
use self::queue::{Batch, Queue};
use crate::engine::EngineFuture;
use crate::engine::SyncLevel;
use crate::engine::files::Directory;
use crate::engine::inside::is_inside;
use crate::engine::kvs::format::scanner::Step;
use crate::engine::kvs::index::{Index, Place};
use crate::engine::kvs::journal::Journal;
use crate::engine::kvs::log::job::JobHandle;
use crate::engine::kvs::log::syncer::{Syncer, Ticker};
use crate::engine::kvs::log::{Log, LogStats, Outcome};
use crate::engine::kvs::pool::Pool;
use crate::error::{KvsError, Result};
use crate::sync::{Condvar, Mutex, RwLock};
use crate::thread_pool::ThreadPool;

/// How many rounds go on the same thread before a job that waits for it has its turn. Another
/// thread would first have to wake up.
const IN_A_ROW: usize = 16;

/// Bytes up to which a value may wait in memory for whoever asked for it.
const SHORT: usize = 256;

/// What all clones of a store share. Whoever drops the last one closes the store.
///
/// A job on the pool holds [`Shared`] and never this: it may still be alive for a moment when
/// those who waited for it have gone on, and the directory must be free by then.
#[derive(Debug)]
pub(crate) struct Handle<P: ThreadPool> {
    pub(crate) shared: Arc<Shared<P>>,
    pub(crate) sync: SyncLevel,
    pub(crate) ticker: Option<Ticker>,
    /// `Some` until the drop.
    pub(crate) dir: Option<Arc<dyn Directory>>,
}

impl<P: ThreadPool> Drop for Handle<P> {
    /// Runs on any thread, also in a task that the store wakes and in a logger that it calls.
    fn drop(&mut self) {
        let mut queue = self.shared.queue.lock();
        queue.is_closing = true;
        self.shared.log_is_back.notify_all();
        let mut log = loop {
            match queue.log.take() {
                Some(log) => break log,
                None => self.shared.log_is_back.wait(&mut queue),
            }
        };
        // What nobody has asked for yet. Where a panic keeps it from being done, it still answers.
        let waiting = queue.take_all();
        drop(queue);
        let commit = |mut batch: Batch<P>| {
            let find = |index: &Index, key| self.shared.find(index, key);
            let outcome = log.commit(mem::take(&mut batch.requests), &find);
            (batch, outcome)
        };
        let committed: Vec<_> = waiting.into_iter().map(commit).collect();
        log.close();
        drop(log);
        drop(self.ticker.take());
        // From here on the directory can be opened again, also by the tasks that are woken.
        drop(self.dir.take());
        let keep = |(batch, outcome): (Batch<P>, _)| batch.promise.keep(outcome);
        // A task that is woken may wait for the others.
        let tasks: Vec<_> = committed.into_iter().map(keep).collect();
        tasks.into_iter().for_each(Tasks::wake);
        self.shared.journal.write_out();
    }
}

/// What the jobs on the pool need, and the futures of writes.
#[derive(Debug)]
pub(crate) struct Shared<P: ThreadPool> {
    pub(crate) index: Arc<RwLock<Index>>,
    /// As the last round has left them.
    pub(crate) figures: Mutex<LogStats>,
    pub(crate) queue: Mutex<Queue<P>>,
    /// Notified when the log is back, when queued writes are given up, and when the store closes.
    pub(crate) log_is_back: Condvar,
    pub(crate) syncer: Arc<Syncer>,
    /// Bytes of old segments that are looked at in one go, in the background.
    pub(crate) step_bytes: usize,
    pub(crate) journal: Journal,
    pub(crate) pool: Pool<P>,
}

impl<P: ThreadPool> Shared<P> {
    /// Runs `job` on the pool, or at once if this thread is already inside the pool.
    pub(crate) fn run_job<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> EngineFuture<T> {
        let journal = self.journal.clone();
        if is_inside() {
            let result = job();
            journal.write_out();
            return EngineFuture::done(result);
        }
        let (sender, future) = EngineFuture::pending();
        self.pool.spawn(move || {
            let result = job();
            // If the future has been dropped, the result is not needed.
            let _ = sender.send(EngineFuture::done(result));
            journal.write_out();
        });
        future
    }

    /// Spawns the next step of a background job on the pool.
    pub(crate) fn start_work(self: &Arc<Self>, job: JobHandle) {
        let step = BackgroundStep {
            shared: Arc::clone(self),
            job: Some(job),
        };
        self.pool.spawn(move || step.run());
    }

    /// The value that `key` has now, but short of what might take much time or memory: that is
    /// left until somebody polls for it.
    pub(crate) fn find(
        self: &Arc<Self>,
        index: &Index,
        key: String,
    ) -> EngineFuture<Option<String>> {
        let value = index.value(&key);
        match value.filter(|value| value.len() <= SHORT) {
            Some(value) => EngineFuture::done(Ok(Some(value.to_owned()))),
            None => {
                let (shared, place) = (Arc::clone(self), index.find(&key));
                EngineFuture::lazy(move || shared.read(key, place))
            }
        }
    }

    /// The value of `key` that is at `place`.
    pub(crate) fn read(&self, key: String, place: Option<Place>) -> EngineFuture<Option<String>> {
        let Some(Place { location, segment }) = place else {
            return EngineFuture::done(Ok(None));
        };
        if let Some(value) = self.index.read().value_at(&key, location) {
            return EngineFuture::done(Ok(Some(value.to_owned())));
        }
        let value = match segment.value_at_once(location, &key) {
            Some(value) => {
                if let Ok(value) = &value {
                    self.index.write().keep(&key, location, value);
                }
                EngineFuture::done(value.map(Some))
            }
            None => self.run_job(move || segment.value(location, &key).map(Some)),
        };
        value.with_size(location.len as usize)
    }

    /// Starts a commit if writes are queued and no thread is writing.
    pub(crate) fn begin(self: &Arc<Self>) {
        let mut queue = self.queue.lock();
        if queue.is_empty() || queue.is_scheduled {
            return;
        }
        let Some(log) = queue.log.take() else {
            // The thread that has the log checks the queue again.
            return;
        };
        let is_short = queue.is_short() && queue.done.is_none();
        drop(queue);
        let mut round = Round::new(self, log);
        if is_short && round.can_commit_at_once() {
            round.commit();
            round.leave_tidying();
        }
    }

    /// Commits the queued writes on this thread until `promise` is kept, or waits while another
    /// thread commits them. That thread runs none of the user's code meanwhile, so the wait ends. A
    /// store that is closing keeps the promise later, and wakes the tasks that wait for it.
    pub(crate) fn complete(self: &Arc<Self>, promise: &Promise<P>) {
        let mut queue = self.queue.lock();
        while !promise.is_kept() && !queue.is_closing {
            // If the queue is empty, the thread that has the log has the batch, too.
            let has_more = !queue.is_empty();
            match queue.log.take_if(|_| has_more) {
                Some(log) => {
                    drop(queue);
                    let mut round = Round::new(self, log);
                    round.commit();
                    round.leave_tidying();
                    drop(round);
                    queue = self.queue.lock();
                }
                None => self.log_is_back.wait(&mut queue),
            }
        }
    }

    /// Commits the queued writes, and schedules the next background job. May wait for the disk.
    pub(crate) fn run(self: &Arc<Self>) {
        for _ in 0..IN_A_ROW {
            let mut queue = self.queue.lock();
            if queue.is_empty() {
                break;
            }
            let Some(log) = queue.log.take() else {
                return;
            };
            drop(queue);
            Round::new(self, log).commit();
        }
        let mut queue = self.queue.lock();
        let Some(log) = queue.log.take() else {
            return;
        };
        if queue.is_closing {
            queue.log = Some(log);
            return;
        }
        let done = queue.done.take();
        drop(queue);
        Round::new(self, log).tidy(done);
    }
}

/// The writer's turn: the log, and whoever runs it.
///
/// Dropping it gives the log back, also if the thread panics. Otherwise closing the store would
/// wait for the log forever. Only after that does it run the user's code: the pool, the waiting
/// tasks and the logger. These may call the store, wait for it, and close it.
#[derive(Debug)]
struct Round<'a, P: ThreadPool> {
    shared: &'a Arc<Shared<P>>,
    /// `Some` until the drop.
    log: Option<Log>,
    /// The batch that was committed; `outcome` has its results.
    batch: Option<Batch<P>>,
    outcome: Option<Outcome>,
    is_untidy: bool,
    /// Whether the thread has panicked before the log was touched. That is nothing to the log.
    was_panicking: bool,
    /// The next background job.
    work: Option<JobHandle>,
}

impl<P: ThreadPool> Round<'_, P> {
    pub(crate) fn new(shared: &Arc<Shared<P>>, log: Log) -> Round<'_, P> {
        Round {
            shared,
            log: Some(log),
            batch: None,
            outcome: None,
            is_untidy: false,
            was_panicking: thread::panicking(),
            work: None,
        }
    }

    fn can_commit_at_once(&self) -> bool {
        self.log.as_ref().is_some_and(Log::can_commit_at_once)
    }

    /// Commits the next batch.
    fn commit(&mut self) {
        let batch = self.shared.queue.lock().next_batch();
        self.batch = batch;
        if let (Some(log), Some(batch)) = (&mut self.log, &mut self.batch) {
            let requests = mem::take(&mut batch.requests);
            let find = |index: &Index, key| self.shared.find(index, key);
            let outcome = log.commit(requests, &find);
            self.outcome = Some(outcome);
            self.shared.queue.lock().finish_batch();
            *self.shared.figures.lock() = log.stats();
        }
    }

    /// Leaves the scheduling of background jobs to the pool.
    fn leave_tidying(&mut self) {
        self.is_untidy = self.log.as_ref().is_some_and(Log::wants_job);
    }

    /// Applies the result of a background job, and schedules the next one.
    fn tidy(mut self, done: Option<Result<()>>) {
        if let Some(log) = &mut self.log {
            self.work = log.schedule_job(done);
            *self.shared.figures.lock() = log.stats();
        }
    }
}

impl<P: ThreadPool> Drop for Round<'_, P> {
    fn drop(&mut self) {
        let Some(log) = self.log.take() else {
            return;
        };
        if thread::panicking() && !self.was_panicking {
            log.failure().set("the thread that wrote it panicked");
        }
        // Keep the promise before giving the log back: `complete` waits for the log, and then looks
        // whether the promise is kept.
        let tasks = self.batch.take().map(|batch| {
            let outcome = self.outcome.take().unwrap_or_else(Outcome::given_up);
            batch.promise.keep(outcome)
        });
        let mut queue = self.shared.queue.lock();
        let has_more = !queue.is_empty() || self.is_untidy || queue.done.is_some();
        let schedules = has_more && !queue.is_scheduled && !queue.is_closing;
        queue.is_scheduled |= schedules;
        queue.log = Some(log);
        self.shared.log_is_back.notify_all();
        drop(queue);
        // Spawn the next round before waking the tasks, because they may wait for it.
        if schedules {
            let job = ScheduledRun {
                shared: Arc::clone(self.shared),
                has_run: false,
            };
            self.shared.pool.spawn(move || job.run());
        }
        if let Some(work) = self.work.take() {
            self.shared.start_work(work);
        }
        if let Some(tasks) = tasks {
            tasks.wake();
        }
        self.shared.journal.write_out();
    }
}

/// A run on its way to the pool.
struct ScheduledRun<P: ThreadPool> {
    shared: Arc<Shared<P>>,
    has_run: bool,
}

impl<P: ThreadPool> ScheduledRun<P> {
    pub(crate) fn run(mut self) {
        self.has_run = true;
        self.shared.queue.lock().is_scheduled = false;
        self.shared.run();
    }
}

impl<P: ThreadPool> Drop for ScheduledRun<P> {
    /// If the pool has dropped the job, it would drop the next one too. So fails all queued
    /// requests.
    fn drop(&mut self) {
        if self.has_run {
            return;
        }
        let mut queue = self.shared.queue.lock();
        queue.is_scheduled = false;
        let tasks = queue.give_up();
        self.shared.log_is_back.notify_all();
        drop(queue);
        tasks.into_iter().for_each(Tasks::wake);
    }
}

/// The next step of a background job, on its way to the pool.
struct BackgroundStep<P: ThreadPool> {
    shared: Arc<Shared<P>>,
    /// `Some` until it runs.
    job: Option<JobHandle>,
}

impl<P: ThreadPool> BackgroundStep<P> {
    pub(crate) fn run(mut self) {
        let Some(job) = self.job.take() else {
            return;
        };
        let shared = &self.shared;
        if shared.queue.lock().is_closing {
            return;
        }
        let stepped = job.step(&shared.index, &shared.syncer, shared.step_bytes);
        shared.journal.write_out();
        if let Ok(Step::More) = stepped {
            // The next step is a job of its own, so that reads that arrived meanwhile run first.
            shared.start_work(job);
            return;
        }
        shared.queue.lock().done = Some(stepped.map(drop));
        // If another thread has the log, that thread checks the queue again.
        shared.run();
    }
}

impl<P: ThreadPool> Drop for BackgroundStep<P> {
    /// If the pool has dropped the job, reports its failure, and the next round tries again.
    fn drop(&mut self) {
        if self.job.take().is_some() {
            let reason = "the pool has dropped the job".to_owned();
            let error = KvsError::EngineStopped { reason };
            self.shared.queue.lock().done = Some(Err(error));
        }
    }
}
