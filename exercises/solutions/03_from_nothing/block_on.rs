// `park` is the sleep. An `unpark` that comes before it leaves a mark, and the next `park` returns at
// once, so a wake-up between the poll and the `park` is not lost. `park` may also return for no
// reason. Then we poll for no reason, which every future allows.

use std::sync::Arc;
use std::thread::{self, Thread};

use futures::executor::{self, Notify};
use futures::{Async, Future};

fn main() {}

/// Wakes the thread that polls.
struct Unpark(Thread);

impl Notify for Unpark {
    fn notify(&self, _id: usize) {
        self.0.unpark();
    }
}

/// Polls the future on this thread until it completes.
fn block_on<F: Future>(future: F) -> Result<F::Item, F::Error> {
    let mut task = executor::spawn(future);
    let this_thread = Arc::new(Unpark(thread::current()));
    loop {
        if let Async::Ready(item) = task.poll_future_notify(&this_thread, 0)? {
            return Ok(item);
        }
        thread::park();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::future;
    use futures::task::{self, Task};
    use std::panic;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc::{self, RecvTimeoutError, Sender};
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

    /// Resolves when the flag is up. It leaves the task of each poll in a channel.
    fn reply(
        polled: Sender<Task>,
        is_there: Arc<AtomicBool>,
    ) -> impl Future<Item = u32, Error = ()> {
        future::poll_fn(move || {
            let _ = polled.send(task::current());
            Ok(if is_there.load(Ordering::SeqCst) {
                Async::Ready(42)
            } else {
                Async::NotReady
            })
        })
    }

    /// Wakes its task during its first two polls, and resolves to the number of polls.
    fn wakes_itself() -> impl Future<Item = u32, Error = ()> {
        let mut polls = 0;
        future::poll_fn(move || {
            polls += 1;
            if polls == 3 {
                return Ok(Async::Ready(polls));
            }
            task::current().notify();
            Ok(Async::NotReady)
        })
    }

    #[test]
    fn a_future_that_is_ready_is_polled_once() {
        within_time(|| {
            let hangs = "the future is ready, and its thread sleeps: poll before the first sleep";
            let (item, polls) = run(hangs, || {
                let mut polls = 0;
                let item = block_on(future::lazy(|| {
                    polls += 1;
                    Ok::<_, ()>("item")
                }));
                (item, polls)
            });
            assert_eq!(item, Ok("item"), "the item");
            assert_eq!(polls, 1, "polls");
            let error = run(hangs, || block_on(future::err::<(), _>("error")));
            assert_eq!(error, Err("error"), "the error");
        });
    }

    #[test]
    fn the_thread_sleeps_until_the_task_is_woken() {
        within_time(|| {
            let (polled, polls) = mpsc::channel();
            let is_there = Arc::<AtomicBool>::default();
            let future = reply(polled, Arc::clone(&is_there));
            let peer = thread::spawn(move || {
                let Ok(task) = polls.recv() else { return 0 };
                // Nothing wakes the task in this time.
                let again = || polls.recv_timeout(Duration::from_millis(300)).ok();
                let again = std::iter::from_fn(again).take(5).count();
                is_there.store(true, Ordering::SeqCst);
                task.notify();
                again
            });
            let (item, busy) = run("the task was woken, and its thread still sleeps", || {
                (block_on(future), busy_time())
            });
            assert_eq!(item, Ok(42), "the item");
            let again = peer.join().unwrap();
            assert!(
                again < 5,
                "polled again and again although nothing woke the task: park after `NotReady`"
            );
            assert!(
                busy < Duration::from_millis(20),
                "busy for {busy:?} although nothing woke the task: is there a loop without a sleep?"
            );
        });
    }

    #[test]
    fn a_wake_up_during_the_poll_is_not_lost() {
        within_time(|| {
            let hangs =
                "the task was woken between the start of its poll and the sleep: poll again";
            let polls = run(hangs, || block_on(wakes_itself()));
            assert_eq!(polls, Ok(3), "polls");
        });
    }
}
