//! One shot that every task of a server hears.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::{Future, Shared};
use futures::sync::oneshot;
use parking_lot::Mutex;

/// Stops a server: no new connections, no new requests, and those in flight are answered.
///
/// Dropping it stops nothing.
#[derive(Debug, Clone)]
pub struct ShutdownHandle {
    is_shutdown: Arc<AtomicBool>,
    shot: Arc<Mutex<Option<oneshot::Sender<()>>>>,
}

impl ShutdownHandle {
    /// Asks the server to stop, and returns at once. Asking again changes nothing.
    pub fn shutdown(&self) {
        self.is_shutdown.store(true, Ordering::Release);
        // Without the lock, since tasks are woken.
        let sender = self.shot.lock().take();
        if let Some(sender) = sender {
            // A server that is gone has stopped.
            let _ = sender.send(());
        }
    }
}

/// The other end: a task asks it at every poll, and is woken when the answer changes.
#[derive(Debug, Clone)]
pub(super) struct Signal {
    is_shutdown: Arc<AtomicBool>,
    shot: Shared<oneshot::Receiver<()>>,
    /// Whether the task that has this is among those to be woken, which takes a lock.
    is_noted: bool,
}

impl Signal {
    pub(super) fn is_shutdown(&mut self) -> bool {
        if !self.is_noted {
            self.is_noted = true;
            // An error says that nobody can stop the server any more.
            let _ = self.shot.poll();
        }
        self.is_shutdown.load(Ordering::Acquire)
    }

    /// Blocks until the shutdown, or until nobody can ask for one any more.
    pub(super) fn wait(self) {
        let _ = self.shot.wait();
    }
}

pub(super) fn pair() -> (ShutdownHandle, Signal) {
    let (sender, receiver) = oneshot::channel();
    let is_shutdown = Arc::new(AtomicBool::new(false));
    let handle = ShutdownHandle {
        is_shutdown: Arc::clone(&is_shutdown),
        shot: Arc::new(Mutex::new(Some(sender))),
    };
    let signal = Signal {
        is_shutdown,
        shot: receiver.shared(),
        is_noted: false,
    };
    (handle, signal)
}
