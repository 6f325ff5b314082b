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
        let sender = self.shot.lock().take();
        // Sending wakes tasks, so it happens without the lock.
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
            Ok(match signal.is_shutdown() {
                true => Async::Ready(()),
                false => Async::NotReady,
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
