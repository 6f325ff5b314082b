// The channel is both the run queue and the sleep: `recv` blocks until a number arrives. So a wake-up
// on any thread ends the sleep, and without one nothing is polled.

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

#[cfg(test)]
mod tests {
    use super::*;
    use futures::sync::oneshot;
    use futures::{future, task};
    use std::cell::{Cell, RefCell};
    use std::panic;
    use std::rc::Rc;
    use std::sync::mpsc::RecvTimeoutError;
    use std::thread;
    use std::time::Duration;
    use support::{busy_time, within_time};

    /// Runs `f` on a thread, and fails with `hangs` if it does not return.
    #[track_caller]
    fn run<T: Send + 'static>(hangs: &str, f: impl FnOnce() -> T + Send + 'static) -> T {
        let (sender, returned) = mpsc::channel();
        let thread = thread::spawn(move || sender.send(f()));
        match returned.recv_timeout(Duration::from_secs(3)) {
            Ok(value) => value,
            Err(RecvTimeoutError::Timeout) => panic!("{hangs}"),
            // `f` has panicked. The message is above.
            Err(RecvTimeoutError::Disconnected) => {
                panic::resume_unwind(thread.join().err().unwrap())
            }
        }
    }

    /// Counts the polls of a future.
    fn counted<F: Future>(
        mut future: F,
        polls: &Rc<Cell<usize>>,
    ) -> impl Future<Item = F::Item, Error = F::Error> + use<F> {
        let polls = Rc::clone(polls);
        future::poll_fn(move || {
            polls.set(polls.get() + 1);
            future.poll()
        })
    }

    type Log = Rc<RefCell<Vec<&'static str>>>;

    /// Logs its name, and resolves to `result`.
    fn logs(
        log: &Log,
        name: &'static str,
        result: Result<(), ()>,
    ) -> impl Future<Item = (), Error = ()> + use<> {
        let log = Rc::clone(log);
        future::lazy(move || {
            log.borrow_mut().push(name);
            result
        })
    }

    /// Yields nine times, and then sends.
    fn yields(sender: oneshot::Sender<()>) -> impl Future<Item = (), Error = ()> {
        let (mut sender, mut left) = (Some(sender), 9);
        future::poll_fn(move || {
            if left > 0 {
                left -= 1;
                task::current().notify(); // once more, after the others
                return Ok(Async::NotReady);
            }
            sender.take().unwrap().send(()).map(Async::Ready)
        })
    }

    #[test]
    fn it_runs_until_all_tasks_have_completed() {
        within_time(|| {
            let hangs = "`run` does not return: it must poll each task that was spawned, and remove \
                         those that have ended. With no task left, it returns";
            let log = run(hangs, || {
                let log = Log::default();
                let mut executor = Executor::new();
                executor.run(); // there is no task yet
                for (name, result) in [("a", Ok(())), ("b", Err(())), ("c", Ok(()))] {
                    executor.spawn(logs(&log, name, result));
                }
                assert!(log.borrow().is_empty(), "polled before `run`");
                executor.run();
                log.take()
            });
            assert_eq!(log, ["a", "b", "c"], "the tasks that ran, in order");
        });
    }

    #[test]
    fn tasks_wait_for_each_other() {
        within_time(|| {
            let hangs =
                "`run` does not return: the first task waits for the second one. Are both polled?";
            let log = run(hangs, || {
                let log = Log::default();
                let mut executor = Executor::new();
                let (sender, receiver) = oneshot::channel();
                let received = logs(&log, "received", Ok(()));
                executor.spawn(receiver.map_err(drop).and_then(|()| received));
                executor.spawn(logs(&log, "sends", Ok(())).and_then(|()| sender.send(())));
                executor.run();
                log.take()
            });
            assert_eq!(log, ["sends", "received"], "what ran, in order");
        });
    }

    #[test]
    fn only_the_task_that_was_woken_is_polled() {
        within_time(|| {
            let hangs =
                "`run` does not return: is each task that was woken polled again, until its end?";
            let (quiet, busy) = run(hangs, || {
                let [quiet, busy] = [(); 2].map(|()| Rc::new(Cell::new(0)));
                let mut executor = Executor::new();
                let (sender, receiver) = oneshot::channel();
                executor.spawn(counted(receiver, &quiet).map_err(drop));
                executor.spawn(counted(yields(sender), &busy));
                executor.run();
                (quiet.get(), busy.get())
            });
            assert_eq!(busy, 10, "polls of a task that was woken nine times");
            assert_eq!(
                quiet, 2,
                "polls of a task that was woken once: poll only the task whose number is next in \
                 the run queue"
            );
        });
    }

    #[test]
    fn the_thread_sleeps_while_no_task_is_woken() {
        within_time(|| {
            let (polled, polls) = mpsc::channel();
            let peer = thread::spawn(move || {
                let Ok(sender) = polls.recv() else { return 0 };
                // Nothing wakes the task in this time.
                let again = || polls.recv_timeout(Duration::from_millis(300)).ok();
                let again = std::iter::from_fn(again).take(5).count();
                let sender: Option<oneshot::Sender<()>> = sender;
                let _ = sender.unwrap().send(());
                again
            });
            let hangs = "`run` does not return: a thread has woken the task. Is its number in the \
                         run queue?";
            let busy = run(hangs, move || {
                let (sender, mut receiver) = oneshot::channel();
                let mut sender = Some(sender);
                let mut executor = Executor::new();
                let is_done = Rc::new(Cell::new(false));
                let done = Rc::clone(&is_done);
                let future = future::poll_fn(move || {
                    let answer = receiver.poll().unwrap();
                    let _ = polled.send(sender.take());
                    Ok(answer)
                });
                executor.spawn(future.map(move |()| done.set(true)));
                executor.run();
                assert!(
                    is_done.get(),
                    "`run` has returned, and a task still waits: with an empty queue, sleep"
                );
                busy_time()
            });
            let again = peer.join().unwrap();
            assert!(
                again < 5,
                "a task is polled again and again although nothing woke it"
            );
            assert!(
                busy < Duration::from_millis(20),
                "busy for {busy:?} although no task was woken: \
                 `recv` sleeps until a number arrives, and `try_recv` does not"
            );
        });
    }

    #[test]
    fn a_wake_up_after_the_end_is_harmless() {
        within_time(|| {
            let hangs = "`run` does not return: it must remove a task that has ended, and skip its \
                         number if that comes once more. With no task left, it returns";
            run(hangs, || {
                let kept = Rc::new(RefCell::new(None));
                let mut executor = Executor::new();
                let keeps = Rc::clone(&kept);
                executor.spawn(future::lazy(move || {
                    task::current().notify();
                    *keeps.borrow_mut() = Some(task::current());
                    Ok(())
                }));
                executor.spawn(future::ok(())); // polled after the first task has ended
                executor.run();
                executor.spawn(future::ok(()));
                executor.run();
                drop(executor);
                kept.take().unwrap().notify();
            });
        });
    }
}
