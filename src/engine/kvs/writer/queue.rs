//! The queue of requests that need the writer's turn, and the log while no thread has the turn.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use ahash::RandomState;

use super::gather::Gather;
use super::promise::{Commit, Promise, Tasks};
use crate::engine::kvs::log::{Log, Outcome, Request, Requests};
use crate::error::Result;

/// A batch of this many bytes takes no further write.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// The memory in bytes that each buffer of a batch keeps for the next batch, at most.
pub(super) const MAX_SPARE: usize = 1024 * 1024;

/// Writes of fewer bytes are committed on the thread that asks for them.
const SHORT_BYTES: usize = 256 * 1024;

/// Requests that are committed together, and the promise that their futures share.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) requests: Requests,
    pub(super) promise: Arc<Promise>,
    /// The keys that the batch writes.
    keys: KeyFilter,
    bytes: usize,
}

/// The requests that wait for the writer's turn, in order.
#[derive(Debug)]
pub(super) struct Queue {
    waiting: VecDeque<Batch>,
    /// The memory of the last batch, for the next one.
    spare: Requests,
    /// The keys that the batch being committed writes.
    running: KeyFilter,
    hasher: RandomState,
    /// `None` while a thread has the writer's turn.
    log: Option<Log>,
    /// Whether a run that will look at the queue is on its way to the pool.
    is_scheduled: bool,
    /// `None` if a commit does not sync.
    gather: Option<Gather>,
    /// The result of the last background job, until the writer applies it.
    job_result: Option<Result<()>>,
    is_closing: bool,
}

impl Queue {
    pub(super) fn new(log: Log) -> Queue {
        Queue {
            waiting: VecDeque::new(),
            spare: Requests::default(),
            running: KeyFilter::default(),
            hasher: RandomState::new(),
            gather: log.syncs_each_commit().then(Gather::default),
            log: Some(log),
            is_scheduled: false,
            job_result: None,
            is_closing: false,
        }
    }

    /// Adds a request to the last batch. Returns the promise of the batch, and the place of the
    /// request in it.
    pub(super) fn push(
        &mut self,
        request: Request<'_>,
        writer: &Arc<impl Commit + 'static>,
    ) -> (Arc<Promise>, usize) {
        let has_room = |batch: &Batch| batch.bytes < BATCH_BYTES;
        if !self.waiting.back().is_some_and(has_room) {
            let writer: Arc<dyn Commit> = Arc::clone(writer) as _;
            let requests = mem::take(&mut self.spare);
            self.waiting.push_back(Batch::new(requests, writer));
        }
        let batch = self.waiting.back_mut().expect("there is one with room");
        // A read takes no room in the log, and no other read has to come after it.
        if request.op.is_write() {
            batch.bytes += request.key.len() + request.op.value().map_or(0, str::len);
            batch.keys.insert(self.hasher.hash_one(request.key));
        }
        let n = batch.requests.push(request);
        (Arc::clone(&batch.promise), n)
    }

    /// Returns whether a write of `key` may be pending: true for every key that has one, and for a
    /// few others.
    pub(super) fn may_write(&self, key: &str) -> bool {
        let hash = self.hasher.hash_one(key);
        let mut waiting = self.waiting.iter();
        self.running.may_contain(hash) || waiting.any(|batch| batch.keys.may_contain(hash))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    pub(super) fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Returns whether the queue can do without a thread now: it is empty, or a thread has the turn
    /// or is on its way, which looks at the queue again.
    pub(super) fn is_taken_care_of(&self) -> bool {
        self.is_empty() || self.is_scheduled || self.is_gathering() || self.log.is_none()
    }

    /// Returns the number of requests that wait.
    fn len(&self) -> usize {
        self.waiting.iter().map(|batch| batch.requests.len()).sum()
    }

    /// Returns how long the caller should wait for more requests before it commits. It then
    /// [ends](Queue::end_gathering) the wait.
    pub(super) fn begin_to_gather(&mut self) -> Option<Duration> {
        let len = self.len();
        let gather = self.gather.as_mut().filter(|_| len > 0 && !self.is_closing);
        gather.and_then(|gather| gather.begin(len))
    }

    pub(super) fn end_gathering(&mut self) {
        if let Some(gather) = &mut self.gather {
            gather.end();
        }
    }

    pub(super) fn is_gathering(&self) -> bool {
        self.gather.as_ref().is_some_and(Gather::is_running)
    }

    /// Returns whether fewer requests wait than the next commit expects.
    pub(super) fn is_short(&self) -> bool {
        let gather = self.gather.as_ref();
        gather.is_some_and(|gather| gather.is_short(self.len()))
    }

    /// Returns whether a thread need not wait any longer for requests.
    pub(super) fn is_gathered(&self) -> bool {
        self.is_gathering() && !self.is_short()
    }

    /// Returns whether everything in the queue can be committed without waiting for the disk.
    pub(super) fn can_commit_at_once(&self) -> bool {
        let bytes: usize = self.waiting.iter().map(|batch| batch.bytes).sum();
        // Applying the result of a job may sync.
        bytes < SHORT_BYTES
            && self.job_result.is_none()
            && self.log.as_ref().is_some_and(Log::can_commit_at_once)
    }

    /// Takes the log, which is the writer's turn, unless another thread has it.
    pub(super) fn take_log(&mut self) -> Option<Log> {
        self.log.take()
    }

    pub(super) fn give_back(&mut self, log: Log) {
        self.log = Some(log);
    }

    /// Returns whether the caller must spawn a run on the pool. `has_jobs` tells whether a
    /// background job is to be started.
    pub(super) fn schedule(&mut self, has_jobs: bool) -> bool {
        // A run that is on its way will find the work, and so will the thread that closes the
        // store.
        let has_work = has_jobs || !self.is_empty() || self.job_result.is_some();
        let is_coming = self.is_scheduled || self.is_gathering();
        let is_needed = has_work && !is_coming && !self.is_closing;
        self.is_scheduled |= is_needed;
        is_needed
    }

    /// Notes that the run has arrived, or that the pool has dropped it.
    pub(super) fn run_arrived(&mut self) {
        self.is_scheduled = false;
    }

    pub(super) fn put_job_result(&mut self, result: Result<()>) {
        // One job runs at a time, so this replaces no other result.
        self.job_result = Some(result);
    }

    pub(super) fn take_job_result(&mut self) -> Option<Result<()>> {
        self.job_result.take()
    }

    /// Takes the oldest batch.
    pub(super) fn next_batch(&mut self) -> Option<Batch> {
        let batch = self.waiting.pop_front()?;
        // The index does not show these writes yet, so reads of their keys must still be queued.
        self.running = batch.keys;
        Some(batch)
    }

    /// Notes that the batch that was taken has taken effect, or never will. It had `len` requests
    /// and took `time`. Keeps `spare`, which is empty, for the next batch.
    pub(super) fn finish_batch(&mut self, len: usize, time: Duration, spare: Requests) {
        self.spare = spare;
        self.running = KeyFilter::default();
        let waiting = self.len();
        if let Some(gather) = &mut self.gather {
            gather.commit_ended(len, time, waiting);
        }
    }

    /// Fails everything in the queue. The caller wakes the tasks when it holds no lock.
    pub(super) fn give_up(&mut self) -> Vec<Tasks> {
        let give_up = |batch: Batch| batch.promise.keep(Outcome::given_up());
        self.take_all().into_iter().map(give_up).collect()
    }

    /// Notes that the store is closing: no more runs, and no more background jobs.
    pub(super) fn begin_to_close(&mut self) {
        self.is_closing = true;
    }

    /// Takes everything in the queue.
    pub(super) fn take_all(&mut self) -> VecDeque<Batch> {
        mem::take(&mut self.waiting)
    }
}

impl Batch {
    fn new(requests: Requests, writer: Arc<dyn Commit>) -> Batch {
        Batch {
            requests,
            promise: Promise::new(writer),
            keys: KeyFilter::default(),
            bytes: 0,
        }
    }
}

impl Drop for Batch {
    /// Fails the requests of a batch that no thread commits. It may be lost in a panic.
    fn drop(&mut self) {
        if !self.promise.is_kept() {
            self.promise.keep(Outcome::given_up()).wake();
        }
    }
}

/// A Bloom filter with one hash function: no false negatives, few false positives.
#[derive(Debug, Clone, Copy)]
struct KeyFilter([u64; KeyFilter::WORDS]);

impl KeyFilter {
    const WORDS: usize = 64;

    fn insert(&mut self, hash: u64) {
        let (word, bit) = KeyFilter::place(hash);
        self.0[word] |= bit;
    }

    fn may_contain(&self, hash: u64) -> bool {
        let (word, bit) = KeyFilter::place(hash);
        self.0[word] & bit != 0
    }

    fn place(hash: u64) -> (usize, u64) {
        // Different bits of the hash choose the word and the bit in it.
        (hash as usize / 64 % KeyFilter::WORDS, 1 << (hash % 64))
    }
}

impl Default for KeyFilter {
    fn default() -> KeyFilter {
        KeyFilter([0; KeyFilter::WORDS])
    }
}
