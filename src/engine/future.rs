//! The future that every engine returns.

use std::fmt;
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use futures::sync::oneshot;
use futures::{Async, Future, Poll, try_ready};

use crate::error::{KvsError, Result};
use crate::thread_pool::ThreadPool;

/// A request to an engine that is under way, or done already.
///
/// It is a type with a name and no box in it because an engine often knows the answer at once, and
/// such an answer should cost neither an allocation nor a trip to another thread. A boxed future
/// would allocate for it, and `impl Future` in the trait could not be stored in a struct by name.
/// What could block runs on the engine's thread pool, and the future waits for that job's oneshot.
/// What is better done together with others begins with the first poll, or with the drop of a
/// future that nobody polls.
#[derive(Debug)]
#[must_use = "only the future tells whether it succeeds"]
pub struct EngineFuture<T> {
    state: State<T>,
    size: usize,
}

enum State<T> {
    /// `None` once the result has been handed out.
    Done(Option<Result<T>>),
    Waiting(oneshot::Receiver<EngineFuture<T>>),
    PutOff(PutOff<T>),
    /// What is not worth beginning before somebody polls.
    Lazy(Option<Box<dyn FnOnce() -> EngineFuture<T> + Send>>),
}

/// Requests that wait for others of their kind, to be done together.
pub trait Together<T>: Send + Sync {
    /// Sees to it that all of them are done.
    fn begin(&self);

    /// Comes out as what the `n`th of them goes on as, once. Where that is not there yet, it wakes
    /// the current task when it is.
    ///
    /// # Errors
    ///
    /// What befell that request.
    fn poll(&self, n: usize) -> Poll<EngineFuture<T>, KvsError>;
}

const TOO_LATE: &str = "an engine's future was polled after it was done";

/// The `n`th of some requests. They begin when this is dropped.
struct PutOff<T> {
    together: Arc<dyn Together<T>>,
    n: usize,
    has_begun: bool,
}

impl<T: fmt::Debug> fmt::Debug for State<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            State::Done(result) => f.debug_tuple("Done").field(result).finish(),
            State::Waiting(_) => f.write_str("Waiting"),
            State::PutOff(_) => f.write_str("PutOff"),
            State::Lazy(_) => f.write_str("Lazy"),
        }
    }
}

impl<T> PutOff<T> {
    fn begin(&mut self) {
        if !mem::replace(&mut self.has_begun, true) {
            self.together.begin();
        }
    }

    fn poll(&mut self) -> Poll<EngineFuture<T>, KvsError> {
        // This usually completes the batch at once, so that no task has to be woken.
        self.begin();
        self.together.poll(self.n)
    }
}

impl<T> Drop for PutOff<T> {
    fn drop(&mut self) {
        self.begin();
    }
}

impl<T> EngineFuture<T> {
    /// A future that is done.
    pub fn done(result: Result<T>) -> EngineFuture<T> {
        EngineFuture::new(State::Done(Some(result)))
    }

    /// A future that goes on as the one that is sent through the other end, and fails with
    /// [`KvsError::EngineStopped`] when that is dropped instead.
    pub fn pending() -> (oneshot::Sender<EngineFuture<T>>, EngineFuture<T>) {
        let (sender, next) = oneshot::channel();
        (sender, EngineFuture::new(State::Waiting(next)))
    }

    /// A future that goes on as the `n`th of what is done together. That begins when somebody polls
    /// this or drops it.
    pub fn put_off(together: Arc<dyn Together<T>>, n: usize) -> EngineFuture<T> {
        EngineFuture::new(State::PutOff(PutOff {
            together,
            n,
            has_begun: false,
        }))
    }

    /// A future that goes on as what `begin` comes to, with the first poll.
    pub fn lazy(begin: impl FnOnce() -> EngineFuture<T> + Send + 'static) -> EngineFuture<T> {
        EngineFuture::new(State::Lazy(Some(Box::new(begin))))
    }

    /// Begins what was put off, for whoever polls later and wants it on its way meanwhile.
    pub fn begin(&mut self) {
        if let State::PutOff(put_off) = &mut self.state {
            put_off.begin();
        }
    }

    /// Runs `job` on `pool`. What the job captured is dropped before the future is done.
    pub fn spawn<P, F>(pool: &P, job: F) -> EngineFuture<T>
    where
        P: ThreadPool,
        F: FnOnce() -> Result<T> + Send + 'static,
        T: Send + 'static,
    {
        let (sender, future) = EngineFuture::pending();
        let job = move || {
            let result = job();
            // Where nobody waits any more, nobody misses the result.
            let _ = sender.send(EngineFuture::done(result));
        };
        let spawned = panic::catch_unwind(AssertUnwindSafe(|| pool.spawn(job)));
        // The panic hook has reported the panic, and the future fails, because its sender is
        // dropped.
        drop(spawned);
        future
    }

    /// Says how many bytes the result will take, so that a server can have that many ready, or do
    /// without.
    pub fn with_size(self, size: usize) -> EngineFuture<T> {
        EngineFuture { size, ..self }
    }

    /// How many bytes the result will take, as far as the engine knows by now.
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
            State::PutOff(put_off) => try_ready!(put_off.poll()),
            State::Lazy(begin) => begin.take().expect(TOO_LATE)(),
        };
        *self = next;
        self.poll()
    }
}
