//! The future that every engine returns.

use std::fmt;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use futures::sync::oneshot;
use futures::{Async, Future, Poll, try_ready};

use crate::error::{KvsError, Result};
use crate::thread_pool::ThreadPool;

/// The future of a request to an engine. It may be complete from the start.
///
/// It is a type with a name and without a box, because an engine often knows the answer at once.
/// Such an answer should cost neither an allocation nor a trip to another thread. A boxed future
/// would allocate for it, and `impl Future` in the trait could not be stored in a struct by name.
///
/// Work that could block runs on the engine's thread pool, and the future waits for the oneshot of
/// that job. Requests that an engine commits together wait in a deferred batch, which starts with
/// the first poll of one of their futures, or with the drop of a future that was never polled.
///
/// An engine outside this crate makes its futures with [`done`](EngineFuture::done) and
/// [`spawn`](EngineFuture::spawn).
#[derive(Debug)]
#[must_use = "only the future tells whether it succeeds"]
pub struct EngineFuture<T> {
    state: State<T>,
    size: usize,
}

enum State<T> {
    /// `None` after the future has returned the result.
    Done(Option<Result<T>>),
    Waiting(oneshot::Receiver<EngineFuture<T>>),
    Deferred(InBatch<T>),
    /// A request that costs too much to start before the first poll.
    Lazy(Option<Box<dyn FnOnce() -> EngineFuture<T> + Send>>),
}

/// A batch of requests that an engine executes together, some time after the calls.
pub trait Deferred<T>: Send + Sync {
    /// Starts the batch, unless it has started.
    fn start(&self);

    /// Returns the future that request `n` continues as, at most once. If it is not ready,
    /// registers the current task to be woken.
    ///
    /// # Errors
    ///
    /// The error of that request.
    fn poll(&self, n: usize) -> Poll<EngineFuture<T>, KvsError>;
}

const TOO_LATE: &str = "an engine's future was polled after it was complete";

/// Request `n` of a batch. Its drop starts the batch.
struct InBatch<T> {
    batch: Arc<dyn Deferred<T>>,
    n: usize,
    has_started: bool,
}

impl<T: fmt::Debug> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Done(result) => f.debug_tuple("Done").field(result).finish(),
            State::Waiting(_) => f.write_str("Waiting"),
            State::Deferred(_) => f.write_str("Deferred"),
            State::Lazy(_) => f.write_str("Lazy"),
        }
    }
}

impl<T> InBatch<T> {
    fn start(&mut self) {
        // Every poll and the drop come here.
        if !mem::replace(&mut self.has_started, true) {
            self.batch.start();
        }
    }

    fn poll(&mut self) -> Poll<EngineFuture<T>, KvsError> {
        // This usually completes the batch at once, so that no task has to be woken.
        self.start();
        self.batch.poll(self.n)
    }
}

impl<T> Drop for InBatch<T> {
    fn drop(&mut self) {
        self.start();
    }
}

impl<T> EngineFuture<T> {
    /// Returns a future that is complete.
    pub fn done(result: Result<T>) -> EngineFuture<T> {
        EngineFuture::new(State::Done(Some(result)))
    }

    /// Returns a future that continues as the one that is sent through the sender. If the sender is
    /// dropped, the future fails with [`KvsError::EngineStopped`].
    #[doc(hidden)]
    pub fn pending() -> (oneshot::Sender<EngineFuture<T>>, EngineFuture<T>) {
        let (sender, next) = oneshot::channel();
        (sender, EngineFuture::new(State::Waiting(next)))
    }

    /// Returns the future of request `n` of a batch. The batch starts when one of its futures is
    /// polled or dropped.
    #[doc(hidden)]
    pub fn deferred(batch: Arc<dyn Deferred<T>>, n: usize) -> EngineFuture<T> {
        EngineFuture::new(State::Deferred(InBatch {
            batch,
            n,
            has_started: false,
        }))
    }

    /// Returns a future that calls `start` at the first poll, and continues as its result.
    #[doc(hidden)]
    pub fn lazy(start: impl FnOnce() -> EngineFuture<T> + Send + 'static) -> EngineFuture<T> {
        EngineFuture::new(State::Lazy(Some(Box::new(start))))
    }

    /// Starts the batch of a deferred request, for a caller that polls later.
    #[doc(hidden)]
    pub fn start(&mut self) {
        if let State::Deferred(request) = &mut self.state {
            request.start();
        }
    }

    /// Runs `job` on `pool`. The values that the job has captured are dropped before the future
    /// completes.
    pub fn spawn<P, F>(pool: &P, job: F) -> EngineFuture<T>
    where
        P: ThreadPool,
        F: FnOnce() -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (sender, future) = EngineFuture::pending();
        let job = move || {
            // The call consumes the job and its values. They go before the caller continues, since
            // the caller may close the engine and open it again.
            let result = job();
            // If the caller has dropped the future, the result has no receiver.
            let _ = sender.send(EngineFuture::done(result));
        };
        let spawned = panic::catch_unwind(AssertUnwindSafe(|| pool.spawn(job)));
        // The pool may be the user's own code. The panic hook has reported the panic, and the
        // future fails, because its sender is dropped.
        drop(spawned);
        future
    }

    /// Sets the size of the result in bytes, so that a server can reserve the memory or refuse.
    #[doc(hidden)]
    pub fn with_size(self, size: usize) -> EngineFuture<T> {
        EngineFuture { size, ..self }
    }

    /// Returns the size of the result in bytes, or 0 if the engine does not know it yet.
    #[doc(hidden)]
    #[must_use]
    pub fn size(&self) -> usize {
        self.size
    }

    fn new(state: State<T>) -> EngineFuture<T> {
        EngineFuture { state, size: 0 }
    }
}

impl<T> Future for EngineFuture<T> {
    type Item = T;
    type Error = KvsError;

    fn poll(&mut self) -> Poll<T, KvsError> {
        let next = match &mut self.state {
            State::Done(result) => {
                let result = result.take().expect(TOO_LATE);
                return result.map(Async::Ready);
            }
            State::Waiting(next) => {
                let next = next.poll();
                try_ready!(next.map_err(|oneshot::Canceled| KvsError::job_panicked()))
            }
            State::Deferred(request) => try_ready!(request.poll()),
            State::Lazy(start) => start.take().expect(TOO_LATE)(),
        };
        *self = next;
        // Without this poll, the new state would not know the task that it has to wake.
        self.poll()
    }
}
