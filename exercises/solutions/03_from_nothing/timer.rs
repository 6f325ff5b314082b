// The thread and the poll work in opposite orders. The poll registers, and then looks. The thread
// sets the flag, and then notifies, so that a poll in answer to the wake-up finds the flag.

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
            let shared = Arc::clone(&self.shared);
            thread::spawn(move || {
                sleep();
                shared.is_over.store(true, Ordering::SeqCst);
                shared.waiting.notify();
            });
        }
        // Not only at the first poll: the future may have moved to another task since.
        self.shared.waiting.register();
        Ok(if self.shared.is_over.load(Ordering::SeqCst) {
            Async::Ready(())
        } else {
            Async::NotReady
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::executor::{self, Notify};
    use std::sync::atomic::AtomicUsize;
    use std::sync::{Mutex, mpsc};
    use std::time::Instant;
    use support::{Task, within_time};

    /// Makes a timer that sleeps until the test sends or drops the sender.
    fn timer() -> (mpsc::Sender<()>, Timer) {
        let (end, ended) = mpsc::channel();
        let polling = thread::current().id();
        let timer = Timer::new(move || {
            assert_ne!(
                thread::current().id(),
                polling,
                "the timer sleeps on the thread that polls it, and stops all other tasks there"
            );
            let _ = ended.recv();
        });
        (end, timer)
    }

    fn is_woken<F: Future>(task: &Task<F>) -> bool {
        let deadline = Instant::now() + Duration::from_secs(3);
        while task.wakes() == 0 && Instant::now() < deadline {
            thread::yield_now();
        }
        task.wakes() > 0
    }

    #[test]
    fn the_end_of_the_sleep_wakes_the_task() {
        within_time(|| {
            let (end, timer) = timer();
            let mut task = Task::new(timer);
            task.expect_not_ready();
            end.send(()).unwrap();
            assert!(
                is_woken(&task),
                "the sleep is over, and the task was not woken"
            );
            assert_eq!(task.poll(), Ok(Async::Ready(())), "the sleep is over");
            assert_eq!(task.wakes(), 1, "wake-ups");
        });
    }

    #[test]
    fn nothing_wakes_the_task_during_the_sleep() {
        within_time(|| {
            let (_end, timer) = timer();
            let mut task = Task::new(timer);
            for _ in 0..3 {
                task.expect_not_ready();
            }
            assert_eq!(
                task.wakes(),
                0,
                "woken although the sleep is not over: that is a busy loop"
            );
        });
    }

    #[test]
    fn the_sleep_does_not_begin_before_the_first_poll() {
        within_time(|| {
            let (begin, begun) = mpsc::channel();
            drop(Timer::new(move || begin.send(()).unwrap()));
            assert!(begun.recv().is_err(), "nothing has polled the timer");
        });
    }

    #[test]
    fn the_task_that_polled_last_is_woken() {
        within_time(|| {
            let (end, mut timer) = timer();
            Task::new(&mut timer).expect_not_ready();
            let mut second = Task::new(timer);
            second.expect_not_ready();
            end.send(()).unwrap();
            assert!(
                is_woken(&second),
                "the timer has moved, and the task that has it now was not woken"
            );
        });
    }

    /// Another thread, which ends the sleep when the poll takes its task: `register` calls
    /// `clone_id`.
    struct OtherThread {
        end: Mutex<Option<mpsc::Sender<()>>>,
        shared: Arc<Shared>,
        wakes: AtomicUsize,
    }

    impl Notify for OtherThread {
        fn notify(&self, _id: usize) {
            self.wakes.fetch_add(1, Ordering::SeqCst);
        }

        fn clone_id(&self, id: usize) -> usize {
            let end = self.end.lock().unwrap().take();
            if end.is_some() {
                drop(end);
                while !self.shared.is_over.load(Ordering::SeqCst) {
                    thread::yield_now();
                }
                thread::sleep(Duration::from_millis(50)); // now the timer's thread notifies
            }
            id
        }
    }

    #[test]
    fn an_end_during_the_poll_is_not_lost() {
        within_time(|| {
            let (end, mut timer) = timer();
            Task::new(&mut timer).expect_not_ready(); // starts the thread
            let other = Arc::new(OtherThread {
                end: Mutex::new(Some(end)),
                shared: Arc::clone(&timer.shared),
                wakes: AtomicUsize::new(0),
            });
            let mut task = executor::spawn(timer);
            let is_ready = task.poll_future_notify(&other, 0).unwrap().is_ready();
            assert!(
                is_ready || other.wakes.load(Ordering::SeqCst) > 0,
                "lost: the sleep was over after `poll` had looked, and before it registered"
            );
        });
    }

    /// Waits in the wake-up until the test has polled.
    struct Meeting {
        woken: mpsc::Sender<()>,
        polled: Mutex<mpsc::Receiver<()>>,
    }

    impl Notify for Meeting {
        fn notify(&self, _id: usize) {
            let _ = self.woken.send(());
            let _ = self.polled.lock().unwrap().recv();
        }
    }

    #[test]
    fn the_flag_is_set_before_the_wake_up() {
        within_time(|| {
            let (woken, wake_ups) = mpsc::channel();
            let (go_on, polled) = mpsc::channel();
            let polled = Mutex::new(polled);
            let meeting = Arc::new(Meeting { woken, polled });
            let (end, timer) = timer();
            let mut task = executor::spawn(timer);
            let first = task.poll_future_notify(&meeting, 0);
            assert_eq!(first, Ok(Async::NotReady), "the sleep is not over");
            end.send(()).unwrap();
            let woken = wake_ups.recv_timeout(Duration::from_secs(3));
            assert!(
                woken.is_ok(),
                "the sleep is over, and the task was not woken"
            );
            let second = task.poll_future_notify(&meeting, 0);
            drop(go_on);
            assert_eq!(
                second,
                Ok(Async::Ready(())),
                "polled in answer to the wake-up, the timer is not over: set the flag first"
            );
        });
    }
}
