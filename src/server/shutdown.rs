//! The shutdown of a server, which wakes every task.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::future::{Future, Shared};
use futures::sync::oneshot;
use parking_lot::Mutex;

/// A handle that stops a server: it accepts no more connections and no more requests, and replies
/// to the requests in flight.
///
/// Dropping the handle does not stop the server.
#[derive(Debug, Clone)]
pub struct ShutdownHandle {
    is_shutdown: Arc<AtomicBool>,
    shot: Arc<Mutex<Option<oneshot::Sender<()>>>>,
}

impl ShutdownHandle {
    /// Asks the server to stop, and returns at once. Asking again changes nothing.
    pub fn shutdown(&self) {
        self.is_shutdown.store(true, Ordering::Release);
        let sender = self.shot.lock().take();
        // Sending wakes tasks, so it happens without the lock.
        if let Some(sender) = sender {
            // Sending fails if the server is gone.
            let _ = sender.send(());
        }
    }
}

/// The other end of a [`ShutdownHandle`]. A task checks it at every poll, and is woken at the
/// shutdown.
#[derive(Debug, Clone)]
pub(super) struct ShutdownSignal {
    is_shutdown: Arc<AtomicBool>,
    shot: Shared<oneshot::Receiver<()>>,
    /// Whether the task that owns this is registered to be woken. Registering it takes a lock.
    is_registered: bool,
}

impl ShutdownSignal {
    pub(super) fn is_shutdown(&mut self) -> bool {
        if !self.is_registered {
            self.is_registered = true;
            // An error means that all handles are dropped.
            let _ = self.shot.poll();
        }
        self.is_shutdown.load(Ordering::Acquire)
    }

    /// Blocks until the shutdown, or until all handles are dropped.
    pub(super) fn wait(self) {
        let _ = self.shot.wait();
    }
}

pub(super) fn pair() -> (ShutdownHandle, ShutdownSignal) {
    let (sender, receiver) = oneshot::channel();
    let is_shutdown = Arc::new(AtomicBool::new(false));
    let handle = ShutdownHandle {
        is_shutdown: Arc::clone(&is_shutdown),
        shot: Arc::new(Mutex::new(Some(sender))),
    };
    let signal = ShutdownSignal {
        is_shutdown,
        shot: receiver.shared(),
        is_registered: false,
    };
    (handle, signal)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;
    use std::thread;
    use std::time::Duration;

    use futures::executor::{self, Notify};
    use futures::future;
    use futures::{Async, Poll};

    use super::*;

    impl Notify for ShutdownHandle {
        fn notify(&self, _: usize) {
            self.shutdown();
        }
    }

    #[test]
    fn a_task_that_hears_of_a_shutdown_may_ask_for_one() {
        let (handle, mut signal) = pair();
        let mut task = executor::spawn(future::poll_fn(move || -> Poll<(), ()> {
            Ok(if signal.is_shutdown() {
                Async::Ready(())
            } else {
                Async::NotReady
            })
        }));
        let notify = Arc::new(handle.clone());
        assert_eq!(task.poll_future_notify(&notify, 0), Ok(Async::NotReady));
        let (sender, is_done) = mpsc::channel();
        thread::spawn(move || {
            handle.shutdown();
            sender.send(()).unwrap();
        });
        is_done.recv_timeout(Duration::from_secs(20)).unwrap();
        assert_eq!(task.poll_future_notify(&notify, 0), Ok(Async::Ready(())));
    }
}
