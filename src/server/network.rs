//! The network threads.
//!
//! Each thread has a reactor and an executor of its own, and a task stays on its thread. So no
//! thread wakes another one for a request, and none steals tasks. tokio's multi-threaded runtime
//! does both, which is worth its cost if some tasks are long. Here every poll is short.

use std::convert::Infallible;
use std::io;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};

use futures::Future;
use futures::sync::oneshot;
use log::warn;
use tokio::runtime::current_thread::{Handle, Runtime};

use crate::guarded::Guarded;

/// The network threads. Dropping this ends them and drops their tasks.
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
    /// Starts this number of threads.
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
    /// Starts `task` on the next thread. If the task panics, only the task ends.
    pub(super) fn spawn(&mut self, task: impl Future<Item = (), Error = ()> + Send + 'static) {
        let handle = &self.handles[self.next];
        self.next = (self.next + 1) % self.handles.len();
        if handle.spawn(Guarded::new(task)).is_err() {
            warn!("a connection arrived after the server had stopped");
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
                // This fails when the sender is dropped.
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
            // The panic hook has reported a panic of the thread.
            let _ = thread.join();
        }
    }
}
