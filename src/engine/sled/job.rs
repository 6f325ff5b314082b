//! The jobs that the pool runs on the database, and the answers that they leave.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use super::flush::Shared;
use crate::engine::inside::Inside;
use crate::error::Result;
use crate::thread_pool::ThreadPool;

/// A piece of work on the database.
pub(super) enum Job {
    Request(Request),
    Flush,
}

type Request = Box<dyn FnOnce(&Shared, &sled::Db) -> Done + Send>;

/// Tells the caller of a request its result, or the error of the flush that it has waited for.
pub(super) type Answer = Box<dyn FnOnce(Result<()>) + Send>;

/// The rest of a job, for when the thread holds no lock: a caller that gets its answer may do
/// anything, such as drop the engine.
#[derive(Default)]
pub(super) struct Done {
    pub(super) answers: Vec<(Answer, Result<()>)>,
    /// Whether the job has put a flush into the queue.
    pub(super) needs_flush: bool,
}

impl Done {
    pub(super) fn now(answer: Answer, flushed: Result<()>) -> Done {
        Done {
            answers: vec![(answer, flushed)],
            needs_flush: false,
        }
    }

    pub(super) fn answer(self) {
        for (answer, flushed) in self.answers {
            // If a caller panics when it is notified, the others still get their answers.
            let _ = panic::catch_unwind(AssertUnwindSafe(|| answer(flushed)));
        }
    }
}

/// Runs the next job on `pool`, and then the flush that it asks for.
pub(super) fn spawn_work<P: ThreadPool>(pool: &P, shared: &Arc<Shared>) {
    // The pool may be the user's own code, and call this engine.
    let _inside = Inside::enter();
    let (on, shared) = (pool.clone(), Arc::clone(shared));
    pool.spawn(move || {
        let _inside = Inside::enter();
        let done = shared.work();
        // Before the answers: one of them may drop the engine, and the pool with it.
        if done.needs_flush {
            spawn_work(&on, &shared);
        }
        done.answer();
    });
}
