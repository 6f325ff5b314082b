//! The threads that do the networking.
//!
//! Each has a reactor and an executor of its own, and a task stays on the thread that it came to: no
//! thread wakes another one up for a request, and none looks for work at others. tokio's runtime of
//! many threads does both, which pays where some tasks are long; here each of them is short.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use futures::Future;
use futures::sync::oneshot;
use log::warn;
use tokio::runtime::current_thread::{Handle, Runtime};

use crate::guarded::Guarded;

/// So many threads. Dropping this ends them, and all that is going on in them.
pub(super) struct Network {
    threads: Vec<Thread>,
}

struct Thread {
    handle: Handle,
    stop: Option<oneshot::Sender<Infallible>>,
    thread: Option<JoinHandle<()>>,
}

/// Starts tasks on the threads of a [`Network`], in turn.
pub(super) struct Spawner {
    handles: Vec<Handle>,
    next: usize,
}

impl Network {
    /// Starts so many threads.
    pub(super) fn start(threads: usize) -> io::Result<Network> {
        let threads = (0..threads).map(Thread::start);
        let threads = threads.collect::<io::Result<_>>()?;
        Ok(Network { threads })
    }

    pub(super) fn spawner(&self) -> Spawner {
        let handles = self.threads.iter().map(|thread| thread.handle.clone());
        Spawner {
            handles: handles.collect(),
            next: 0,
        }
    }
}

impl Spawner {
    /// Starts `task` on one of the threads. A panic ends the task and nothing else.
    pub(super) fn spawn(&mut self, task: impl Future<Item = (), Error = ()> + Send + 'static) {
        let handle = &self.handles[self.next];
        self.next = (self.next + 1) % self.handles.len();
        if handle.spawn(Guarded::new(task)).is_err() {
            warn!("a connection came when the server had stopped");
        }
    }
}

impl Thread {
    fn start(n: usize) -> io::Result<Thread> {
        let (ready, is_ready) = mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let run = move || match Runtime::new() {
            Ok(mut runtime) => {
                let _ = ready.send(Ok(runtime.handle()));
                // It comes to its end when the other side is dropped.
                let _ = runtime.block_on(stopped);
            }
            Err(error) => drop(ready.send(Err(error))),
        };
        let thread = thread::Builder::new()
            .name(format!("kvs-net-{n}"))
            .spawn(run)?;
        let handle = is_ready.recv().map_err(io::Error::other)??;
        Ok(Thread {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // It panicked only if the panic hook has said so.
            let _ = thread.join();
        }
    }
}
