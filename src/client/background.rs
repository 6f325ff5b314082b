//! The executors that run the tasks of a client.

use std::convert::Infallible;
use std::process;
use std::sync::{Arc, mpsc};
use std::time::Instant;
use std::{io, thread};

use futures::sync::oneshot;
use futures::{Future, future};
use parking_lot::Mutex;
use tokio::executor::{DefaultExecutor, Executor};
use tokio::reactor;
use tokio::runtime::current_thread::{self, Runtime};
use tokio::timer::Delay;

use crate::error::{KvsError, Result};
use crate::guarded::Guarded;

/// The thread for callers without a runtime. The first such caller starts it.
static BACKGROUND: Mutex<Option<Background>> = Mutex::new(None);

/// A handle to a thread with a runtime. The thread ends when the last clone is dropped.
#[derive(Clone)]
struct Background {
    /// The process that started the thread. A forked child has a copy of this, but no thread.
    process: u32,
    tasks: current_thread::Handle,
    reactor: reactor::Handle,
    _stop: Arc<oneshot::Sender<Infallible>>,
}

/// Returns whether an executor of tokio 0.1 polls the current task and takes other tasks.
pub(super) fn has_executor() -> bool {
    // On a thread that no executor has entered, `status` would leave a mark behind, and a runtime
    // that is started there later would panic.
    tokio_executor::enter().is_err() && DefaultExecutor::current().status().is_ok()
}

/// Spawns a task on the current executor.
pub(super) fn spawn<F>(task: F) -> Result<()>
where
    F: Future<Item = (), Error = ()> + Send + 'static,
{
    DefaultExecutor::current()
        .spawn(Box::new(task))
        .map_err(io::Error::other)
        .map_err(KvsError::io("start the task of a connection"))
}

/// Spawns a task on the thread of the library.
pub(super) fn spawn_in_background<F>(task: F) -> Result<()>
where
    F: Future<Item = (), Error = ()> + Send + 'static,
{
    let spawned = background()?.tasks.spawn(Guarded::new(task));
    spawned.map_err(|error| {
        // The thread has lost its reactor. The next call starts another thread.
        let lost = BACKGROUND.lock().take();
        drop(lost);
        KvsError::io("start a task in the background")(io::Error::other(error))
    })
}

/// Returns the reactor for a socket of the current task: the one of the runtime, or the one of the
/// library if the executor has none. tokio has a fallback reactor for such executors, too. But if
/// the system has no thread for it when it is first needed, it stays broken.
pub(super) fn reactor() -> Result<reactor::Handle> {
    // A runtime has both a timer and a reactor, and tokio can only tell whether there is a timer.
    let has_runtime = Delay::new(Instant::now()).poll().is_ok();
    if has_runtime {
        return Ok(reactor::Handle::default());
    }
    background().map(|background| background.reactor)
}

fn background() -> Result<Background> {
    let is_ours = |background: &Background| background.process == process::id();
    let running = BACKGROUND.lock().clone();
    if let Some(background) = running.filter(is_ours) {
        return Ok(background);
    }
    // This starts the thread without the lock, because it may call a logger, and that may use a
    // client. If two threads do this at once, one of the new threads ends again.
    let started = Background::start().map_err(KvsError::io("start the thread of the clients"))?;
    let mut running = BACKGROUND.lock();
    let lost = running.take_if(|background| !is_ours(background));
    let background = running.get_or_insert_with(|| started.clone()).clone();
    drop(running);
    drop(lost);
    Ok(background)
}

impl Background {
    fn start() -> io::Result<Background> {
        let (ready, is_ready) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let run = move || match start_runtime() {
            Ok((mut runtime, reactor)) => {
                let _ = ready.send(Ok((runtime.handle(), reactor)));
                // This fails when the other end is dropped.
                let _ = runtime.block_on(stopped);
            }
            Err(error) => drop(ready.send(Err(error))),
        };
        thread::Builder::new()
            .name("kvs-clients".to_owned())
            .spawn(run)?;
        let (tasks, reactor) = is_ready.recv().map_err(io::Error::other)??;
        Ok(Background {
            process: process::id(),
            tasks,
            reactor,
            _stop: Arc::new(stop),
        })
    }
}

fn start_runtime() -> io::Result<(Runtime, reactor::Handle)> {
    let mut runtime = Runtime::new()?;
    #[expect(deprecated, reason = "its successor binds to a reactor only later")]
    let reactor = future::lazy(|| Ok::<_, io::Error>(reactor::Handle::current()));
    let reactor = runtime.block_on(reactor)?;
    Ok((runtime, reactor))
}
