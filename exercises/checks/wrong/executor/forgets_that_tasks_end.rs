//! Fails: a_wake_up_after_the_end_is_harmless: called `Option::unwrap()`
#![allow(unused, reason = "as in the starter")]

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use futures::executor::{self, Notify, Spawn};
use futures::{Async, Future};

fn main() {}

type BoxedFuture = Box<dyn Future<Item = (), Error = ()>>;

struct Executor {
    /// The tasks that have not completed, by number.
    tasks: HashMap<usize, Spawn<BoxedFuture>>,
    /// The number of the next task.
    spawned: usize,
    run_queue: Receiver<usize>,
    wake: Arc<Wake>,
}

/// Puts the number of a woken task into the run queue.
struct Wake(Sender<usize>);

impl Notify for Wake {
    fn notify(&self, id: usize) {
        // This fails if the executor has been dropped, and its tasks with it.
        let _ = self.0.send(id);
    }
}

impl Executor {
    fn new() -> Executor {
        let (sender, run_queue) = mpsc::channel();
        Executor {
            tasks: HashMap::new(),
            spawned: 0,
            run_queue,
            wake: Arc::new(Wake(sender)),
        }
    }

    /// Adds a task. `run` polls it for the first time.
    fn spawn(&mut self, future: impl Future<Item = (), Error = ()> + 'static) {
        let id = self.spawned;
        self.spawned += 1;
        self.tasks.insert(id, executor::spawn(Box::new(future)));
        // No wake-up asks for the first poll, so we do.
        self.wake.notify(id);
    }

    /// Runs until all tasks have completed. Polls a task when it was spawned, and when it was woken.
    fn run(&mut self) {
        // The queue never closes, because `wake` has a sender. The tasks tell when to stop.
        while !self.tasks.is_empty() {
            let id = self.run_queue.recv().expect("`wake` has a sender");
            let task = self.tasks.get_mut(&id).unwrap();
            match task.poll_future_notify(&self.wake, id) {
                Ok(Async::NotReady) => {}
                Ok(Async::Ready(())) | Err(()) => drop(self.tasks.remove(&id)),
            }
        }
    }
}
