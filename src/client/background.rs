//! Where the tasks of the library run.

use std::io;

use futures::Future;
use parking_lot::Mutex;
use tokio::executor::{DefaultExecutor, Executor};
use tokio::runtime::{self, Runtime, TaskExecutor};

use crate::error::{KvsError, Result};

/// For those who have no runtime: one thread, which starts with the first task and ends with the
/// process.
static BACKGROUND: Mutex<Option<Runtime>> = Mutex::new(None);

/// Whether the current thread belongs to a runtime.
///
/// `DefaultExecutor::status` answers that too, but on a thread without a runtime it leaves a mark
/// behind, and a runtime that is started there later panics.
pub(super) fn has_runtime() -> bool {
    tokio_executor::enter().is_err()
}

/// Spawns a task on the current runtime, or in the background where there is none.
pub(super) fn spawn<F>(task: F) -> Result<()>
where
    F: Future<Item = (), Error = ()> + Send + 'static,
{
    if has_runtime() {
        return DefaultExecutor::current()
            .spawn(Box::new(task))
            .map_err(io::Error::other)
            .map_err(KvsError::io("start the task of a connection"));
    }
    spawn_in_background(task)
}

/// Spawns a task in the background, whatever the current runtime.
pub(super) fn spawn_in_background<F>(task: F) -> Result<()>
where
    F: Future<Item = (), Error = ()> + Send + 'static,
{
    executor()?.spawn(task);
    Ok(())
}

/// What spawns tasks in the background.
pub(super) fn executor() -> Result<TaskExecutor> {
    let mut background = BACKGROUND.lock();
    let runtime = match &mut *background {
        Some(runtime) => runtime,
        none => none.insert(
            runtime::Builder::new()
                .core_threads(1)
                .name_prefix("kvs-client-")
                .build()
                .map_err(KvsError::io("start the thread of the clients"))?,
        ),
    };
    Ok(runtime.executor())
}
