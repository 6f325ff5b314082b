//! What waits for the writer's turn, in the order in which it was asked for.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::mem;
use std::ops::Range;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use ahash::RandomState;
use futures::task::{self, Task};
use futures::{Async, Poll};

use super::Shared;
use super::log::Log;
use crate::engine::inside::is_inside;
use crate::engine::{Deferred, EngineFuture};
use crate::error::{KvsError, Result};
use crate::thread_pool::ThreadPool;

/// Bytes after which a batch takes no further write.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Bytes up to which a batch need not go to the pool.
const BATCH_AT_ONCE: usize = 256 * 1024;

/// What somebody asked for that needs the writer's turn.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) key: String,
    pub(super) op: Op,
}

#[derive(Debug)]
pub(super) enum Op {
    Set(String),
    Remove,
    /// To look the key up after the writes before this one, and before those after it.
    Find,
}

impl Op {
    /// What the key is to have, if it is to have a value.
    pub(super) fn value(&self) -> Option<&str> {
        match self {
            Op::Set(value) => Some(value),
            Op::Remove | Op::Find => None,
        }
    }
}

/// Requests that are done together, and the futures that wait for that.
#[derive(Debug)]
pub(super) struct Batch<P: ThreadPool> {
    pub(super) requests: Vec<Request>,
    pub(super) promise: Arc<Promise<P>>,
    keys: KeyFilter,
    bytes: usize,
}

/// The queue, and the log while nobody writes to it.
#[derive(Debug)]
pub(super) struct Queue<P: ThreadPool> {
    waiting: VecDeque<Batch<P>>,
    /// The keys that are being written.
    running: KeyFilter,
    hasher: RandomState,
    /// `None` while a round has it.
    pub(super) log: Option<Log>,
    /// Whether a job that will check the queue has been spawned on the pool.
    pub(super) is_scheduled: bool,
    /// The result of the background job, until the writer applies it.
    pub(super) done: Option<Result<()>>,
    pub(super) is_closing: bool,
}

impl<P: ThreadPool> Queue<P> {
    pub(super) fn new(log: Log) -> Queue<P> {
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
    pub(super) fn push(&mut self, request: Request, shared: &Arc<Shared<P>>) -> Place<P> {
        let has_room = |batch: &Batch<P>| batch.bytes < BATCH_BYTES;
        if !self.waiting.back().is_some_and(has_room) {
            self.waiting.push_back(Batch::new(shared));
        }
        let batch = self.waiting.back_mut().expect("one was put there");
        let n = batch.requests.len();
        if !matches!(request.op, Op::Find) {
            batch.bytes += request.key.len() + request.op.value().map_or(0, str::len);
            batch.keys.insert(self.hasher.hash_one(&request.key));
        }
        batch.requests.push(request);
        (Arc::clone(&batch.promise), n)
    }

    /// Whether a write of `key` may be under way. One that is makes this true, and so do a few
    /// others.
    pub(super) fn may_write(&self, key: &str) -> bool {
        let hash = self.hasher.hash_one(key);
        let mut waiting = self.waiting.iter();
        self.running.may_contain(hash) || waiting.any(|batch| batch.keys.may_contain(hash))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether all that waits can be written in no time.
    pub(super) fn is_short(&self) -> bool {
        self.waiting.iter().map(|batch| batch.bytes).sum::<usize>() < BATCH_AT_ONCE
    }

    /// Takes out what waits longest, as much as fits into a write of reasonable size.
    pub(super) fn next_batch(&mut self) -> Option<Batch<P>> {
        let batch = self.waiting.pop_front();
        self.running = batch
            .as_ref()
            .map_or_else(KeyFilter::default, |batch| batch.keys);
        batch
    }

    /// Notes that the batch that was taken out has taken effect, or never will.
    pub(super) fn finish_batch(&mut self) {
        self.running = KeyFilter::default();
    }

    /// Fails everything in the queue. The caller wakes the tasks when it holds no lock.
    pub(super) fn give_up(&mut self) -> Vec<Tasks> {
        let give_up = |batch: Batch<P>| batch.promise.keep(Outcome::given_up());
        self.take_all().into_iter().map(give_up).collect()
    }

    /// Takes out everything in the queue.
    pub(super) fn take_all(&mut self) -> VecDeque<Batch<P>> {
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

/// What became of a batch.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// The errors, each with the places of the writes that failed.
    pub(super) errors: Vec<(Range<usize>, KvsError)>,
    /// The places of those that wanted to remove a key that was not there, in ascending order.
    pub(super) missing: Vec<usize>,
    /// What was found, with the places of those that looked for it, in ascending order.
    pub(super) found: Vec<(usize, EngineFuture<Option<String>>)>,
}

impl Outcome {
    /// Returns the outcome of a batch that nobody commits.
    pub(super) fn given_up() -> Outcome {
        let reason = "the thread that should have done it is gone".to_owned();
        let error = KvsError::EngineStopped { reason };
        Outcome {
            errors: vec![(0..usize::MAX, error)],
            ..Outcome::default()
        }
    }

    fn error(&self, n: usize) -> Option<&KvsError> {
        let mut errors = self.errors.iter();
        errors.find_map(|(range, error)| range.contains(&n).then_some(error))
    }

    /// Adds the outcome of the rest of the batch, after its first `len` requests.
    pub(super) fn extend(&mut self, len: usize, rest: Outcome) {
        let errors = rest.errors.into_iter();
        self.errors
            .extend(errors.map(|(range, error)| (range.start + len..range.end + len, error)));
        self.missing.extend(rest.missing.iter().map(|n| n + len));
        let found = rest.found.into_iter();
        self.found.extend(found.map(|(n, found)| (n + len, found)));
    }
}

/// The outcome of a batch, some time. All its futures share it: one allocation for all that is done
/// together.
pub(super) struct Promise<P: ThreadPool> {
    // Not one of the locks of `crate::sync`: other threads must not poll in the middle of a poll,
    // and where those locks are tested all of them are one thread in truth.
    state: parking_lot::Mutex<State<P>>,
}

enum State<P: ThreadPool> {
    Waiting {
        shared: Arc<Shared<P>>,
        /// For each request whose future was polled, the task that was the last to do so.
        tasks: HashMap<usize, Task>,
    },
    Kept(Outcome),
}

/// The tasks that wait for an outcome that is there now.
#[must_use = "they wait until they are woken"]
pub(super) struct Tasks(HashMap<usize, Task>);

impl Tasks {
    /// Wakes the tasks. That runs the user's code, so the caller holds no lock and does not have the
    /// writer's turn.
    pub(super) fn wake(self) {
        for task in self.0.into_values() {
            // The panic hook has reported the panic, and the other tasks must be woken.
            let _ = panic::catch_unwind(AssertUnwindSafe(move || task.notify()));
        }
    }
}

impl<P: ThreadPool> Promise<P> {
    fn new(shared: &Arc<Shared<P>>) -> Arc<Promise<P>> {
        let (shared, tasks) = (Arc::clone(shared), HashMap::new());
        Arc::new(Promise {
            state: parking_lot::Mutex::new(State::Waiting { shared, tasks }),
        })
    }

    pub(super) fn is_kept(&self) -> bool {
        matches!(*self.state.lock(), State::Kept(_))
    }

    /// Stores the outcome. Returns the tasks that wait for it.
    pub(super) fn keep(&self, outcome: Outcome) -> Tasks {
        let waiting = mem::replace(&mut *self.state.lock(), State::Kept(outcome));
        match waiting {
            State::Waiting { tasks, .. } => Tasks(tasks),
            State::Kept(_) => Tasks(HashMap::new()),
        }
    }

    fn begin(&self) {
        let shared = match &*self.state.lock() {
            State::Waiting { shared, .. } => Arc::clone(shared),
            State::Kept(_) => return,
        };
        if is_inside() {
            // The pool may have no other thread.
            shared.complete(self);
        } else {
            shared.begin();
        }
    }

    /// What `take` makes of the outcome for the `n`th request, when that is there.
    fn poll<T>(&self, n: usize, take: impl FnOnce(&mut Outcome) -> Result<T>) -> Poll<T, KvsError> {
        if let State::Kept(outcome) = &mut *self.state.lock() {
            return take(outcome).map(Async::Ready);
        }
        if is_inside() {
            // Another thread may have begun it, and may count on the thread that we are on.
            self.begin();
        }
        // Cloning or dropping a task may run its owner's code, so neither happens under the lock.
        let task = task::current();
        let replaced = match &mut *self.state.lock() {
            State::Kept(outcome) => return take(outcome).map(Async::Ready),
            State::Waiting { tasks, .. } => tasks.insert(n, task),
        };
        drop(replaced);
        Ok(Async::NotReady)
    }
}

impl<P: ThreadPool> Deferred<()> for Promise<P> {
    fn start(&self) {
        self.begin();
    }

    fn poll(&self, n: usize) -> Poll<EngineFuture<()>, KvsError> {
        self.poll(n, |outcome| match outcome.error(n) {
            Some(error) => Err(error.clone()),
            None if outcome.missing.binary_search(&n).is_ok() => Err(KvsError::KeyNotFound),
            None => Ok(EngineFuture::done(Ok(()))),
        })
    }
}

impl<P: ThreadPool> Deferred<Option<String>> for Promise<P> {
    fn start(&self) {
        self.begin();
    }

    fn poll(&self, n: usize) -> Poll<EngineFuture<Option<String>>, KvsError> {
        self.poll(n, |outcome| {
            let at = outcome.found.binary_search_by_key(&n, |(n, _)| *n);
            match (at, outcome.error(n)) {
                (Ok(at), _) => {
                    let found = &mut outcome.found[at].1;
                    Ok(mem::replace(found, EngineFuture::done(Ok(None))))
                }
                (Err(_), Some(error)) => Err(error.clone()),
                (Err(_), None) => Ok(EngineFuture::done(Ok(None))),
            }
        })
    }
}

impl<P: ThreadPool> fmt::Debug for Promise<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.state.lock() {
            State::Waiting { .. } => f.write_str("Waiting"),
            State::Kept(outcome) => outcome.fmt(f),
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
