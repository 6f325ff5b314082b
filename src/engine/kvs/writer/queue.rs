//! What waits for the writer's turn, in the order in which it was asked for.

use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use ahash::RandomState;

use crate::engine::kvs::log::{Log, Outcome, Request};
use crate::engine::kvs::writer::Shared;
use crate::engine::kvs::writer::promise::{Promise, Tasks};
use crate::error::Result;
use crate::thread_pool::ThreadPool;

/// Bytes after which a batch takes no further write.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Bytes up to which a batch need not go to the pool.
const BATCH_AT_ONCE: usize = 256 * 1024;

/// Requests that are done together, and the futures that wait for that.
#[derive(Debug)]
pub(crate) struct Batch<P: ThreadPool> {
    pub(crate) requests: Vec<Request>,
    pub(crate) promise: Arc<Promise<P>>,
    keys: KeyFilter,
    bytes: usize,
}

/// The queue, and the log while nobody writes to it.
#[derive(Debug)]
pub(crate) struct Queue<P: ThreadPool> {
    waiting: VecDeque<Batch<P>>,
    /// The keys that are being written.
    running: KeyFilter,
    hasher: RandomState,
    /// `None` while a round has it.
    pub(crate) log: Option<Log>,
    /// Whether a job that will check the queue has been spawned on the pool.
    pub(crate) is_scheduled: bool,
    /// The result of the background job, until the writer applies it.
    pub(crate) done: Option<Result<()>>,
    pub(crate) is_closing: bool,
}

impl<P: ThreadPool> Queue<P> {
    pub(crate) fn new(log: Log) -> Queue<P> {
        Queue {
            waiting: VecDeque::new(),
            running: KeyFilter::default(),
            hasher: RandomState::new(),
            log: Some(log),
            is_scheduled: false,
            done: None,
            is_closing: false,
        }
    }

    /// Puts a request at the end, and says where its future finds what becomes of it.
    pub(crate) fn push(&mut self, request: Request, shared: &Arc<Shared<P>>) -> Place<P> {
        let has_room = |batch: &Batch<P>| batch.bytes < BATCH_BYTES;
        if !self.waiting.back().is_some_and(has_room) {
            self.waiting.push_back(Batch::new(shared));
        }
        let batch = self.waiting.back_mut().expect("one was put there");
        let n = batch.requests.len();
        if request.op.is_write() {
            batch.bytes += request.key.len() + request.op.value().map_or(0, str::len);
            batch.keys.insert(self.hasher.hash_one(&request.key));
        }
        batch.requests.push(request);
        (Arc::clone(&batch.promise), n)
    }

    /// Whether a write of `key` may be under way. One that is makes this true, and so do a few
    /// others.
    pub(crate) fn may_write(&self, key: &str) -> bool {
        let hash = self.hasher.hash_one(key);
        let mut waiting = self.waiting.iter();
        self.running.may_contain(hash) || waiting.any(|batch| batch.keys.may_contain(hash))
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether all that waits can be written in no time.
    pub(crate) fn is_short(&self) -> bool {
        self.waiting.iter().map(|batch| batch.bytes).sum::<usize>() < BATCH_AT_ONCE
    }

    /// Takes out what waits longest, as much as fits into a write of reasonable size.
    pub(crate) fn next_batch(&mut self) -> Option<Batch<P>> {
        let batch = self.waiting.pop_front();
        self.running = batch
            .as_ref()
            .map_or_else(KeyFilter::default, |batch| batch.keys);
        batch
    }

    /// Notes that the batch that was taken out has taken effect, or never will.
    pub(crate) fn finish_batch(&mut self) {
        self.running = KeyFilter::default();
    }

    /// Fails everything in the queue. The caller wakes the tasks when it holds no lock.
    pub(crate) fn give_up(&mut self) -> Vec<Tasks> {
        let give_up = |batch: Batch<P>| batch.promise.keep(Outcome::given_up());
        self.take_all().into_iter().map(give_up).collect()
    }

    /// Takes out everything in the queue.
    pub(crate) fn take_all(&mut self) -> VecDeque<Batch<P>> {
        mem::take(&mut self.waiting)
    }
}

/// Where a request stands: in which batch, and at which place in it.
type Place<P> = (Arc<Promise<P>>, usize);

impl<P: ThreadPool> Batch<P> {
    fn new(shared: &Arc<Shared<P>>) -> Batch<P> {
        Batch {
            requests: Vec::new(),
            promise: Promise::new(shared),
            keys: KeyFilter::default(),
            bytes: 0,
        }
    }
}

impl<P: ThreadPool> Drop for Batch<P> {
    /// A batch that was given up still answers.
    fn drop(&mut self) {
        if !self.promise.is_kept() {
            self.promise.keep(Outcome::given_up()).wake();
        }
    }
}

/// Some of what a set of keys is: one that is in it is never missed, and one that is not is
/// seldom taken for one. That is a Bloom filter with a single hash function.
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
        (hash as usize / 64 % KeyFilter::WORDS, 1 << (hash % 64))
    }
}

impl Default for KeyFilter {
    fn default() -> KeyFilter {
        KeyFilter([0; KeyFilter::WORDS])
    }
}
