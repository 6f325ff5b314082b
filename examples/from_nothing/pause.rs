// A timer as a future, from docs/from-nothing.md. The examples of that page include this file.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use futures::task::AtomicTask;
use futures::{Async, Future, Poll};

/// Resolves when its time is over. The time starts with the first poll.
pub struct Pause {
    length: Duration,
    shared: Option<Arc<Shared>>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    waiting: AtomicTask,
}

impl Pause {
    pub fn new(length: Duration) -> Pause {
        Pause {
            length,
            shared: None,
        }
    }
}

impl Future for Pause {
    type Item = ();
    type Error = Infallible;

    fn poll(&mut self) -> Poll<(), Infallible> {
        let shared = self.shared.get_or_insert_with(|| start(self.length));
        shared.waiting.register();
        Ok(if shared.is_over.load(Ordering::SeqCst) {
            Async::Ready(())
        } else {
            Async::NotReady
        })
    }
}

fn start(length: Duration) -> Arc<Shared> {
    let shared = Arc::<Shared>::default();
    let future_side = Arc::clone(&shared);
    thread::spawn(move || {
        thread::sleep(length);
        shared.is_over.store(true, Ordering::SeqCst);
        shared.waiting.notify();
    });
    future_side
}
