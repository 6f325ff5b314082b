// An executor for many tasks on one thread, from docs/from-nothing.md. The examples of that page
// include this file.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, Sender};

use futures::executor::{self, Notify, Spawn};
use futures::{Async, Future};

type BoxedFuture = Box<dyn Future<Item = (), Error = ()>>;

pub struct Executor {
    tasks: HashMap<usize, Spawn<BoxedFuture>>,
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
    pub fn new() -> Executor {
        let (sender, run_queue) = mpsc::channel();
        Executor {
            tasks: HashMap::new(),
            spawned: 0,
            run_queue,
            wake: Arc::new(Wake(sender)),
        }
    }

    pub fn spawn(&mut self, future: impl Future<Item = (), Error = ()> + 'static) {
        let id = self.spawned;
        self.spawned += 1;
        self.tasks.insert(id, executor::spawn(Box::new(future)));
        self.wake.notify(id); // for the first poll
    }

    /// Runs until all tasks have completed.
    pub fn run(&mut self) {
        while !self.tasks.is_empty() {
            let id = self.run_queue.recv().expect("`wake` has a sender");
            let Some(task) = self.tasks.get_mut(&id) else {
                continue; // it was woken once more after its end
            };
            match task.poll_future_notify(&self.wake, id) {
                Ok(Async::NotReady) => {}
                Ok(Async::Ready(())) | Err(()) => drop(self.tasks.remove(&id)),
            }
        }
    }
}
