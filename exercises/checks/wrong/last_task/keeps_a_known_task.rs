//! Fails: each_connection_wakes_the_task: `notify` takes the task out
#![allow(unused, reason = "as in the starter")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::task::{self, AtomicTask, Task};
use futures::{Async, Future, Poll};

fn main() {}

/// The part of the server that counts.
#[derive(Default)]
struct Connections {
    open: AtomicUsize,
    waiting: AtomicTask,
}

impl Connections {
    /// The server calls this for each new connection, on any thread.
    fn opened(&self) {
        self.open.fetch_add(1, Ordering::SeqCst);
        self.waiting.notify();
    }
}

/// Resolves when at least `enough` connections are open.
struct Enough {
    enough: usize,
    connections: Arc<Connections>,
    task: Option<Task>,
}

impl Enough {
    fn new(enough: usize, connections: &Arc<Connections>) -> Enough {
        Enough {
            enough,
            connections: Arc::clone(connections),
            task: None,
        }
    }
}

impl Future for Enough {
    type Item = ();
    type Error = Infallible;

    fn poll(&mut self) -> Poll<(), Infallible> {
        if !self.task.as_ref().is_some_and(Task::will_notify_current) {
            self.connections.waiting.register();
            self.task = Some(task::current());
        }
        let open = self.connections.open.load(Ordering::SeqCst);
        Ok(if open >= self.enough {
            Async::Ready(())
        } else {
            Async::NotReady
        })
    }
}
