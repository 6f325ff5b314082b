//! Fails: the_task_that_polled_last_is_woken: the timer has moved
#![allow(unused, reason = "as in the starter")]

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use futures::task::AtomicTask;
use futures::{Async, Future, Poll};

fn main() {
    let timer = Timer::new(|| thread::sleep(Duration::from_millis(50)));
    let Ok(()) = timer.map(|()| println!("50 ms later")).wait();
}

type Sleep = Box<dyn FnOnce() + Send>;

/// Resolves when its sleep is over. The sleep begins with the first poll.
struct Timer {
    /// `None` after the first poll.
    sleep: Option<Sleep>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    is_over: AtomicBool,
    waiting: AtomicTask,
}

impl Timer {
    fn new(sleep: impl FnOnce() + Send + 'static) -> Timer {
        Timer {
            sleep: Some(Box::new(sleep)),
            shared: Arc::default(),
        }
    }
}

impl Future for Timer {
    type Item = ();
    type Error = Infallible;

    fn poll(&mut self) -> Poll<(), Infallible> {
        if let Some(sleep) = self.sleep.take() {
            self.shared.waiting.register();
            let shared = Arc::clone(&self.shared);
            thread::spawn(move || {
                sleep();
                shared.is_over.store(true, Ordering::SeqCst);
                shared.waiting.notify();
            });
        }
        Ok(if self.shared.is_over.load(Ordering::SeqCst) {
            Async::Ready(())
        } else {
            Async::NotReady
        })
    }
}
