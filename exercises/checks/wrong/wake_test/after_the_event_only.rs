//! Fails: a_lost_wake_up_is_caught: your check passes a future that is never woken

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
    sender.send(7).unwrap();
    let task = Task::new(future);
    assert_eq!(task.wakes(), 0, "woken, although nothing has happened");
    assert_eq!(task.finish(), Ok(7));
}
