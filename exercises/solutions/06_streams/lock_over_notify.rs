// `set` held the lock while it called `notify`. The executor polled the task at once, `poll` wanted
// the same lock, and so the thread waited for itself: a deadlock. Other executors poll the task on
// another thread, or later. There it only cost a little time, and no test found it.
//
// So: change the state and take the task out under the lock, release the lock, and only then
// notify. The value comes first. A task that is woken before it would find nothing, and sleep
// again.
//
// `if let Some(task) = self.0.lock().unwrap().waiting.take()` would not help: the guard lives until
// the end of the `if let`.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use futures::task::{self, Task};
use futures::{Async, Future, Poll};

fn main() {}

#[derive(Clone, Default)]
struct Latest(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    /// The value, unless it was taken.
    value: Option<u32>,
    /// The task that waits for a value.
    waiting: Option<Task>,
}

impl Latest {
    /// Stores a value, and wakes the task that waits for one.
    fn set(&self, value: u32) {
        let mut state = self.0.lock().unwrap();
        state.value = Some(value);
        let waiting = state.waiting.take();
        drop(state);
        if let Some(task) = waiting {
            task.notify();
        }
    }

    /// Resolves to the latest value, which no other future has taken.
    fn changed(&self) -> Changed {
        Changed(self.clone())
    }
}

struct Changed(Latest);

impl Future for Changed {
    type Item = u32;
    type Error = Infallible;

    fn poll(&mut self) -> Poll<u32, Infallible> {
        let Latest(shared) = &self.0;
        let mut state = shared.lock().unwrap();
        if let Some(value) = state.value.take() {
            return Ok(Async::Ready(value));
        }
        state.waiting = Some(task::current());
        Ok(Async::NotReady)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Weak;
    use std::sync::mpsc::{self, Sender};
    use std::thread;
    use std::time::Duration;

    use futures::executor::{self, Notify, Spawn};
    use futures::{Stream, stream};
    use support::{Task as ByHand, within_time};

    type Values = Box<dyn Stream<Item = u32, Error = Infallible> + Send>;

    /// An executor of one task, which the thread polls that wakes it. The task takes all values,
    /// and sends them to the test.
    struct AtOnce {
        this: Weak<AtOnce>,
        task: Mutex<Spawn<Values>>,
        taken: Sender<u32>,
    }

    impl AtOnce {
        fn new(values: Values, taken: Sender<u32>) -> Arc<AtOnce> {
            Arc::new_cyclic(|this| AtOnce {
                this: Weak::clone(this),
                task: Mutex::new(executor::spawn(values)),
                taken: taken.clone(),
            })
        }

        fn run(self: Arc<AtOnce>) {
            // If it is locked, the task is running already.
            if let Ok(mut task) = self.task.try_lock() {
                while let Ok(Async::Ready(Some(value))) = task.poll_stream_notify(&self, 0) {
                    self.taken.send(value).unwrap();
                }
            }
        }
    }

    impl Notify for AtOnce {
        fn notify(&self, _id: usize) {
            self.this.upgrade().into_iter().for_each(AtOnce::run);
        }
    }

    #[test]
    fn a_woken_task_may_run_at_once() {
        within_time(|| {
            let latest = Latest::default();
            let values = stream::repeat(latest.clone()).and_then(|latest| latest.changed());
            let (sender, taken) = mpsc::channel();
            let executor = AtOnce::new(Box::new(values), sender);
            Arc::clone(&executor).run();

            let (sender, is_done) = mpsc::channel();
            thread::spawn(move || {
                for value in [20, 21] {
                    latest.set(value);
                }
                let _ = sender.send(());
            });
            assert!(
                is_done.recv_timeout(Duration::from_secs(3)).is_ok(),
                "`set` has not returned for three seconds: which lock does the woken task need, \
                 and who has it?"
            );
            let taken: Vec<_> = taken.try_iter().collect();
            assert_eq!(
                taken,
                [20, 21],
                "the task was woken for each value, and should have found it"
            );
        });
    }

    #[test]
    fn a_task_that_runs_later_finds_the_latest_value() {
        within_time(|| {
            let latest = Latest::default();
            let mut changed = ByHand::new(latest.changed());
            changed.expect_not_ready();
            latest.set(1);
            latest.set(2);
            assert_eq!(changed.wakes(), 1, "one wake-up for the first value");
            assert_eq!(changed.poll(), Ok(Async::Ready(2)), "the latest value");
        });
    }
}
