//! Fails: a_wrong_result_is_caught: your check passes a future that resolves to 8, not 7

use futures::Future;
use futures::sync::oneshot::{self, Canceled, Receiver};
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
    assert_eq!(task.wakes(), 0, "woken, although nothing has happened");
    sender.send(7).unwrap();
    assert_eq!(task.wakes(), 1, "no wake-up came");
}
