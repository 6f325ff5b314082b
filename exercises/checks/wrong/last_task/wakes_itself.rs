//! Fails: nothing_wakes_the_task_without_a_connection: that is a busy loop
#![allow(unused, reason = "as in the starter")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::task::AtomicTask;
use futures::{Async, Future, Poll, task};

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
}

impl Enough {
    fn new(enough: usize, connections: &Arc<Connections>) -> Enough {
        Enough {
            enough,
            connections: Arc::clone(connections),
        }
    }
}

impl Future for Enough {
    type Item = ();
    type Error = Infallible;

    fn poll(&mut self) -> Poll<(), Infallible> {
        task::current().notify();
        let open = self.connections.open.load(Ordering::SeqCst);
        Ok(if open >= self.enough {
            Async::Ready(())
        } else {
            Async::NotReady
        })
    }
}
