// Register first, and then look. Whenever the other thread comes, it either finds the task, or its
// flag is found. The other thread goes the other way round: it raises the flag, and then notifies.

use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::task::AtomicTask;
use futures::{Async, Future, Poll};

fn main() {}

/// What the future needs of a flag: two steps. Between them, the other thread may come.
trait Flag {
    /// Returns whether the flag is up.
    fn is_up(&self) -> bool;

    /// Keeps the current task, which the other thread wakes after it has raised the flag.
    fn register(&self);
}

/// The flag of the program. The tests have another one.
#[derive(Default)]
struct Shared {
    is_up: AtomicBool,
    waiting: AtomicTask,
}

impl Shared {
    /// Raises the flag, from any thread.
    fn raise(&self) {
        self.is_up.store(true, Ordering::SeqCst);
        self.waiting.notify();
    }
}

impl Flag for Shared {
    fn is_up(&self) -> bool {
        self.is_up.load(Ordering::SeqCst)
    }

    fn register(&self) {
        self.waiting.register();
    }
}

/// Resolves when the flag is up.
struct Raised<F>(F);

impl<F: Flag> Future for Raised<F> {
    type Item = ();
    type Error = Infallible;

    fn poll(&mut self) -> Poll<(), Infallible> {
        self.0.register();
        Ok(if self.0.is_up() {
            Async::Ready(())
        } else {
            Async::NotReady
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use std::rc::Rc;
    use support::{Task, within_time};

    /// A flag that goes up right before step `up_before` of the future.
    #[derive(Default)]
    struct Scripted {
        shared: Shared,
        steps: Cell<usize>,
        up_before: Option<usize>,
    }

    impl Scripted {
        fn step(&self) {
            let step = self.steps.get();
            self.steps.set(step + 1);
            if self.up_before == Some(step) {
                self.shared.raise();
            }
        }
    }

    impl Flag for Rc<Scripted> {
        fn is_up(&self) -> bool {
            self.step();
            self.shared.is_up()
        }

        fn register(&self) {
            self.step();
            self.shared.register();
        }
    }

    #[test]
    fn no_moment_loses_the_wake_up() {
        within_time(|| {
            for up_before in 0..4 {
                let flag = Rc::new(Scripted {
                    up_before: Some(up_before),
                    ..Scripted::default()
                });
                let mut task = Task::new(Raised(Rc::clone(&flag)));
                let is_ready = task.poll().unwrap().is_ready();
                while flag.steps.get() <= up_before {
                    flag.step(); // the poll has fewer steps, so the other thread comes after it
                }
                assert!(
                    is_ready || task.wakes() > 0,
                    "lost: the flag went up before step {up_before} of the poll (counted from 0), \
                     the poll returned `NotReady`, and the task was not woken"
                );
                if !is_ready {
                    assert_eq!(task.poll(), Ok(Async::Ready(())), "the flag is up");
                }
            }
        });
    }

    #[test]
    fn nothing_wakes_the_task_while_the_flag_is_down() {
        within_time(|| {
            let mut task = Task::new(Raised(Rc::<Scripted>::default()));
            for _ in 0..3 {
                task.expect_not_ready();
            }
            assert_eq!(
                task.wakes(),
                0,
                "woken although nothing happened: that is a busy loop"
            );
        });
    }
}
