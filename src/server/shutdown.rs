//! One shot that every task of a server hears.

use std::sync::Arc;

use futures::future::{Future, Shared};
use futures::sync::oneshot;
use parking_lot::Mutex;

/// Stops a server: no new connections, no new requests, and those in flight are answered.
///
/// Dropping it stops nothing.
#[derive(Debug, Clone)]
pub struct ShutdownHandle(Arc<Mutex<Option<oneshot::Sender<()>>>>);

impl ShutdownHandle {
    /// Asks the server to stop, and returns at once. Asking again changes nothing.
    pub fn shutdown(&self) {
        if let Some(sender) = self.0.lock().take() {
            // A server that is gone has stopped.
            let _ = sender.send(());
        }
    }
}

/// The other end: a task asks it at every poll, and is woken when the answer changes.
#[derive(Debug, Clone)]
pub(super) struct Signal(Shared<oneshot::Receiver<()>>);

impl Signal {
    pub(super) fn is_shutdown(&mut self) -> bool {
        // An error says that nobody can stop the server any more.
        self.0.poll().is_ok_and(|signal| signal.is_ready())
    }

    /// Blocks until the shutdown, or until nobody can ask for one any more.
    pub(super) fn wait(self) {
        let _ = self.0.wait();
    }
}

pub(super) fn pair() -> (ShutdownHandle, Signal) {
    let (sender, receiver) = oneshot::channel();
    let handle = ShutdownHandle(Arc::new(Mutex::new(Some(sender))));
    (handle, Signal(receiver.shared()))
}
