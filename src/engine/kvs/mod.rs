//! The engine of this crate: a log, and an index in memory of where each key's value is.
//!
//! What takes no waiting for a disk is done by whoever asks for it, and the rest on the pool. A read
//! goes there where the system has its bytes no longer in memory. Writes are done together, in
//! rounds: whoever first polls the future of one starts a round, and whoever comes while it runs is
//! in the next one, with everyone else who waits. A round appends all its writes with one system
//! call and, at [`SyncLevel::Always`], syncs them with one more. So there is one writer at a time and
//! no lock around the log: the thread that runs the round owns it. `docs/format.md` has the bytes on
//! disk.

mod check;
mod checkpoint;
mod compaction;
mod hints;
mod index;
mod journal;
mod log;
mod pool;
mod queue;
mod record;
mod recovery;
mod segment;
mod unsynced;
mod values;
mod work;

use std::mem;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

pub use self::check::{Damage, Lost, Progress, Report, Torn, repair, verify};
use self::index::{Index, Place};
use self::journal::Journal;
use self::log::{Figures, Log};
use self::pool::Pool;
use self::queue::{Batch, Op, Outcome, Promise, Queue, Request, Tasks};
use self::unsynced::Unsynced;
use self::work::Job;
use super::files::{Directory, check_sync};
use super::inside::is_inside;
use super::{DataDir, EngineFuture, EngineKind, EngineStats, KvsEngine, SyncLevel};
use crate::error::{KvsError, Result};
use crate::sync::{Condvar, Mutex, RwLock};
use crate::thread_pool::ThreadPool;

/// How many rounds go on the same thread before a job that waits for it has its turn. Another
/// thread would first have to wake up.
const IN_A_ROW: usize = 16;

/// Bytes up to which a value may wait in memory for whoever asked for it.
const SHORT: usize = 256;

/// A log-structured store in a directory of its own.
///
/// ```
/// use futures::Future;
/// use kvs::thread_pool::SharedQueueThreadPool;
/// use kvs::{KvStore, KvsEngine};
///
/// # fn main() -> kvs::Result<()> {
/// # let dir = tempfile::tempdir().unwrap();
/// let store = KvStore::<SharedQueueThreadPool>::open(dir.path(), 4)?;
/// store.set("key".to_owned(), "value".to_owned()).wait()?;
/// assert_eq!(store.get("key".to_owned()).wait()?, Some("value".to_owned()));
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct KvStore<P: ThreadPool> {
    handle: Arc<Handle<P>>,
}

/// How to open a [`KvStore`]: what [`KvStore::open`] leaves at its default.
#[derive(Debug, Clone)]
pub struct KvStoreOptions {
    sync: SyncLevel,
    segment_bytes: u64,
    dead_bytes: Option<u64>,
    cache_bytes: u64,
}

impl Default for KvStoreOptions {
    fn default() -> KvStoreOptions {
        KvStoreOptions {
            sync: SyncLevel::default(),
            segment_bytes: 64 * 1024 * 1024,
            dead_bytes: None,
            cache_bytes: 64 * 1024 * 1024,
        }
    }
}

impl KvStoreOptions {
    /// When a write is done. The default is [`SyncLevel::EverySec`].
    #[must_use]
    pub fn sync(mut self, level: SyncLevel) -> KvStoreOptions {
        self.sync = level;
        self
    }

    /// The size in bytes after which the log goes on in a new file. The default is 64 MiB.
    #[must_use]
    pub fn segment_bytes(mut self, bytes: u64) -> KvStoreOptions {
        self.segment_bytes = bytes;
        self
    }

    /// The number of dead bytes, of older values and removed keys, below which compaction is not
    /// worth its syncs. It begins when that many are dead, and no fewer than are alive. The
    /// default follows the size of the store: 8 times the bytes that are alive, but at least 8 MiB
    /// and at most 64 MiB; and 64 MiB within a second of the last compaction.
    #[must_use]
    pub fn dead_bytes(mut self, bytes: u64) -> KvStoreOptions {
        // With none dead there is nothing to be won.
        self.dead_bytes = Some(bytes.max(1));
        self
    }

    /// Returns the number of dead bytes at which compaction begins if `live` bytes are alive and the
    /// last compaction ended at the given time.
    fn max_dead_bytes(&self, live: u64, compacted: Option<Instant>) -> u64 {
        const MIB: u64 = 1024 * 1024;
        // Each compaction syncs a few times, and writers wait for that. Those who write the same few
        // keys as fast as they can would wait again and again.
        const SELDOM: Duration = Duration::from_secs(1);
        let is_recent = compacted.is_some_and(|at| at.elapsed() < SELDOM);
        let worth_it = match self.dead_bytes {
            Some(bytes) => bytes,
            None if is_recent => 64 * MIB,
            None => live.saturating_mul(8).clamp(8 * MIB, 64 * MIB),
        };
        worth_it.max(live)
    }

    /// Returns the number of bytes on the disk that background jobs leave for writes.
    fn reserved_bytes(&self) -> u64 {
        4 * self.step_bytes() as u64
    }

    /// The memory in bytes for values that were in use lately, of up to 16 KiB each. The system has
    /// them in memory, too, but asking it takes most of the time of a read. The default is 64 MiB.
    #[must_use]
    pub fn cache_bytes(mut self, bytes: u64) -> KvStoreOptions {
        self.cache_bytes = bytes;
        self
    }

    /// Bytes of old segments that compaction looks at in one go. A write that arrives meanwhile
    /// waits that long.
    fn step_bytes(&self) -> usize {
        (self.segment_bytes / 64).clamp(1, 1024 * 1024) as usize
    }

    /// Opens the store, as [`KvStore::open`] does.
    ///
    /// # Errors
    ///
    /// Those of [`KvStore::open`].
    pub fn open<P: ThreadPool>(
        &self,
        path: impl Into<PathBuf>,
        concurrency: u32,
    ) -> Result<KvStore<P>> {
        self.open_in(DataDir::claim(path, EngineKind::Kvs)?, concurrency)
    }

    /// Opens the store in any directory that behaves like one.
    ///
    /// # Errors
    ///
    /// Those of [`KvStore::open`] that have to do with the log.
    pub fn open_in<P: ThreadPool>(
        &self,
        dir: impl Directory + 'static,
        concurrency: u32,
    ) -> Result<KvStore<P>> {
        let pool = P::new(concurrency)?;
        let dir: Arc<dyn Directory> = Arc::new(dir);
        check_sync(&*dir, self.sync)?;
        let journal = Journal::default();
        let opened = Log::open(Arc::clone(&dir), self.clone(), journal.clone());
        journal.write_out();
        let log = opened?;
        let unsynced = Arc::clone(log.unsynced());
        let ticker = match self.sync {
            SyncLevel::EverySec => Some(Ticker::start(Arc::clone(&unsynced), journal.clone())?),
            SyncLevel::Always | SyncLevel::Never => None,
        };
        let shared = Arc::new(Shared {
            index: Arc::clone(log.index()),
            figures: Mutex::new(log.figures()),
            queue: Mutex::new(Queue::new(log)),
            unsynced,
            step_bytes: self.step_bytes(),
            log_is_back: Condvar::new(),
            journal,
            pool: Pool::new(pool),
        });
        let handle = Arc::new(Handle {
            shared,
            sync: self.sync,
            ticker,
            dir: Some(dir),
        });
        Ok(KvStore { handle })
    }
}

impl<P: ThreadPool> KvStore<P> {
    /// Opens the store in the directory `path`, which may be new, with `concurrency` threads to
    /// work on it.
    ///
    /// # Errors
    ///
    /// What [`DataDir::claim`] says of the directory, [`KvsError::Damaged`] where the log in it is
    /// not what was written, and what [`ThreadPool::new`] says of `concurrency` threads.
    pub fn open(path: impl Into<PathBuf>, concurrency: u32) -> Result<KvStore<P>> {
        KvStore::<P>::options().open(path, concurrency)
    }

    /// The settings that a store can be opened with.
    #[must_use]
    pub fn options() -> KvStoreOptions {
        KvStoreOptions::default()
    }

    /// Waits until everything that was written before the call is on the disk, whatever the
    /// [`SyncLevel`].
    ///
    /// The future fails with [`KvsError::EngineStopped`] where an earlier sync has failed, and with
    /// what the disk reports.
    pub fn sync(&self) -> EngineFuture<()> {
        let shared = &self.handle.shared;
        let unsynced = Arc::clone(&shared.unsynced);
        shared.run_job(move || unsynced.sync())
    }

    fn write(&self, key: String, op: Op) -> EngineFuture<()> {
        if let Err(error) = record::check_lengths(&key, op.value()) {
            return EngineFuture::done(Err(error));
        }
        let shared = &self.handle.shared;
        let (promise, n) = shared.queue.lock().push(Request { key, op }, shared);
        EngineFuture::deferred(promise, n)
    }
}

impl<P: ThreadPool> KvsEngine for KvStore<P> {
    fn set(&self, key: String, value: String) -> EngineFuture<()> {
        self.write(key, Op::Set(value))
    }

    fn get(&self, key: String) -> EngineFuture<Option<String>> {
        let shared = &self.handle.shared;
        let index = shared.index.read();
        if let Some(value) = index.value(&key) {
            return EngineFuture::done(Ok(Some(value.to_owned()))).with_size(value.len());
        }
        let place = index.find(&key);
        drop(index);
        shared.read(key, place)
    }

    fn get_in_order(&self, key: String) -> EngineFuture<Option<String>> {
        let shared = &self.handle.shared;
        let mut queue = shared.queue.lock();
        if !queue.may_write(&key) {
            // It reads what it would read behind them.
            drop(queue);
            return self.get(key);
        }
        let op = Op::Find;
        let (promise, n) = queue.push(Request { key, op }, shared);
        EngineFuture::deferred(promise, n)
    }

    fn remove(&self, key: String) -> EngineFuture<()> {
        self.write(key, Op::Remove)
    }

    /// The queue does.
    fn keeps_order(&self) -> bool {
        true
    }

    fn stats(&self) -> EngineStats {
        let (keys, live_bytes) = {
            let index = self.handle.shared.index.read();
            (index.len(), index.live_bytes())
        };
        let Figures {
            dead_bytes,
            segments,
            compacted,
        } = *self.handle.shared.figures.lock();
        EngineStats {
            engine: Some(EngineKind::Kvs.to_string()),
            sync: Some(self.handle.sync.to_string()),
            keys: Some(keys as u64),
            live_bytes: Some(live_bytes),
            dead_bytes: Some(dead_bytes),
            segments: Some(segments as u64),
            seconds_since_compaction: compacted.map(|at| at.elapsed().as_secs()),
        }
    }
}

/// What all clones of a store share. Whoever drops the last one closes the store.
///
/// A job on the pool holds [`Shared`] and never this: it may still be alive for a moment when
/// those who waited for it have gone on, and the directory must be free by then.
#[derive(Debug)]
struct Handle<P: ThreadPool> {
    shared: Arc<Shared<P>>,
    sync: SyncLevel,
    ticker: Option<Ticker>,
    /// `Some` until the drop.
    dir: Option<Arc<dyn Directory>>,
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
struct Shared<P: ThreadPool> {
    index: Arc<RwLock<Index>>,
    /// As the last round has left them.
    figures: Mutex<Figures>,
    queue: Mutex<Queue<P>>,
    /// Notified when the log is back, when queued writes are given up, and when the store closes.
    log_is_back: Condvar,
    unsynced: Arc<Unsynced>,
    /// Bytes of old segments that are looked at in one go, in the background.
    step_bytes: usize,
    journal: Journal,
    pool: Pool<P>,
}

impl<P: ThreadPool> Shared<P> {
    /// Runs `job` on the pool, or at once if this thread is already inside the pool.
    fn run_job<T: Send + 'static>(
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
    fn start_work(self: &Arc<Self>, job: Job) {
        let step = BackgroundStep {
            shared: Arc::clone(self),
            job: Some(job),
        };
        self.pool.spawn(move || step.run());
    }

    /// The value that `key` has now, but short of what might take much time or memory: that is
    /// left until somebody polls for it.
    fn find(self: &Arc<Self>, index: &Index, key: String) -> EngineFuture<Option<String>> {
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
    fn read(&self, key: String, place: Option<Place>) -> EngineFuture<Option<String>> {
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
    fn begin(self: &Arc<Self>) {
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
    fn complete(self: &Arc<Self>, promise: &Promise<P>) {
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
    fn run(self: &Arc<Self>) {
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
    work: Option<Job>,
}

impl<P: ThreadPool> Round<'_, P> {
    fn new(shared: &Arc<Shared<P>>, log: Log) -> Round<'_, P> {
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
            *self.shared.figures.lock() = log.figures();
        }
    }

    /// Leaves the scheduling of background jobs to the pool.
    fn leave_tidying(&mut self) {
        self.is_untidy = self.log.as_ref().is_some_and(Log::is_untidy);
    }

    /// Applies the result of a background job, and schedules the next one.
    fn tidy(mut self, done: Option<Result<()>>) {
        if let Some(log) = &mut self.log {
            self.work = log.tidy(done);
            *self.shared.figures.lock() = log.figures();
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
    fn run(mut self) {
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
    job: Option<Job>,
}

impl<P: ThreadPool> BackgroundStep<P> {
    fn run(mut self) {
        let Some(job) = self.job.take() else {
            return;
        };
        let shared = &self.shared;
        if shared.queue.lock().is_closing {
            return;
        }
        let stepped = job
            .lock()
            .step(&shared.index, &shared.unsynced, shared.step_bytes);
        shared.journal.write_out();
        if let Ok(true) = stepped {
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

/// The thread behind [`SyncLevel::EverySec`]. It ends when this is dropped.
#[derive(Debug)]
struct Ticker {
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Ticker {
    fn start(unsynced: Arc<Unsynced>, journal: Journal) -> Result<Ticker> {
        let (stop, stopped) = mpsc::channel();
        let tick = move || {
            while stopped.recv_timeout(Duration::from_secs(1)) == Err(RecvTimeoutError::Timeout) {
                unsynced.tick();
                journal.write_out();
            }
        };
        let thread = thread::Builder::new()
            .name("kvs-sync".to_owned())
            .spawn(tick)
            .map_err(KvsError::io("start the thread that syncs"))?;
        Ok(Ticker {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        drop(self.stop.take());
        let is_other = |thread: &JoinHandle<()>| thread.thread().id() != thread::current().id();
        // The logger of that very thread may have closed the store.
        if let Some(thread) = self.thread.take().filter(is_other) {
            // It panicked only if the panic hook has said so.
            let _ = thread.join();
        }
    }
}
