// A server counts its connections, and `Enough` is a future that resolves when enough of them are
// open. It was written to wait for one connection, and there it works. If it waits for two, its task
// may sleep forever. So it may if the future moves to another task after its first poll.
//
// The bug is in `poll`, at one place. Find it, and mend it. The order of the two steps, to register
// and then to look, is right: the next exercise is about it.
// `docs/from-nothing.md`, "The task of the last poll".

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::task::AtomicTask;
use futures::{Async, Future, Poll};

fn main() {}

/// The part of the server that counts.
#[derive(Default)]
struct Connections {
    open: AtomicUsize,
    waiting: AtomicTask,
}

impl Connections {
    /// The server calls this for each new connection, on any thread.
    fn opened(&self) {
        self.open.fetch_add(1, Ordering::SeqCst);
        self.waiting.notify();
    }
}

/// Resolves when at least `enough` connections are open.
struct Enough {
    enough: usize,
    connections: Arc<Connections>,
    is_registered: bool,
}

impl Enough {
    fn new(enough: usize, connections: &Arc<Connections>) -> Enough {
        Enough {
            enough,
            connections: Arc::clone(connections),
            is_registered: false,
        }
    }
}

impl Future for Enough {
    type Item = ();
    type Error = Infallible;

    fn poll(&mut self) -> Poll<(), Infallible> {
        // TODO: a task is not woken. Which one, and why?
        if !self.is_registered {
            self.connections.waiting.register();
            self.is_registered = true;
        }
        let open = self.connections.open.load(Ordering::SeqCst);
        Ok(if open >= self.enough {
            Async::Ready(())
        } else {
            Async::NotReady
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use support::{Task, within_time};

    #[test]
    fn the_only_connection_wakes_the_task() {
        within_time(|| {
            let connections = Arc::<Connections>::default();
            let mut task = Task::new(Enough::new(1, &connections));
            task.expect_not_ready();
            connections.opened();
            assert_eq!(task.wakes(), 1, "wake-ups after a connection");
            assert_eq!(task.poll(), Ok(Async::Ready(())), "one is enough");
        });
    }

    #[test]
    fn each_connection_wakes_the_task() {
        within_time(|| {
            let connections = Arc::<Connections>::default();
            let mut task = Task::new(Enough::new(3, &connections));
            for n in 1..=3 {
                task.expect_not_ready();
                connections.opened();
                assert_eq!(
                    task.wakes(),
                    n,
                    "wake-ups after {n} connections and a poll before each: \
                     `notify` takes the task out, so a poll has to put one back"
                );
            }
            assert_eq!(task.poll(), Ok(Async::Ready(())), "three are enough");
        });
    }

    #[test]
    fn the_task_that_polled_last_is_woken() {
        within_time(|| {
            let connections = Arc::<Connections>::default();
            let mut enough = Enough::new(1, &connections);
            Task::new(&mut enough).expect_not_ready();
            let mut second = Task::new(enough);
            second.expect_not_ready();
            connections.opened();
            assert_eq!(
                second.wakes(),
                1,
                "the future has moved, and the task that has it now was not woken"
            );
        });
    }

    #[test]
    fn nothing_wakes_the_task_without_a_connection() {
        within_time(|| {
            let connections = Arc::<Connections>::default();
            let mut task = Task::new(Enough::new(1, &connections));
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
