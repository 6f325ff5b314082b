//! Fails: a_busy_loop_is_caught: your check passes a future that wakes itself

use futures::sync::oneshot::{self, Canceled, Receiver};
use futures::{Async, Future};
use support::Task;

fn main() {}

fn check<F>(make: impl Fn(Receiver<u32>) -> F)
where
    F: Future<Item = u32, Error = Canceled>,
{
    let (sender, receiver) = oneshot::channel();
    let future = make(receiver);
    let mut task = Task::new(future);
    task.expect_not_ready();
    sender.send(7).unwrap();
    assert!(task.wakes() > 0, "no wake-up came");
    assert_eq!(task.poll(), Ok(Async::Ready(7)));
}
