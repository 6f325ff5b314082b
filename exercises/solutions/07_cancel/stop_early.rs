// On a thread, `is_canceled` is enough: the thread runs, so it can look as often as it likes. A future
// runs only when it is woken, so it uses `poll_cancel`, which also registers the task.
//
// `poll_cancel` comes first. If `future` came first, `try_ready!` would leave the function before
// the task is registered with the oneshot, and nothing would wake it when the receiver is dropped.

use futures::sync::oneshot;
use futures::{Async, Future, future, try_ready};

fn main() {}

/// Adds up all numbers and sends the sum. Stops early if the receiver is dropped.
fn add_up(numbers: impl Iterator<Item = u64>, sender: oneshot::Sender<u64>) {
    let mut sum = 0;
    for number in numbers {
        if sender.is_canceled() {
            return;
        }
        sum += number; // a long piece of work
    }
    let _ = sender.send(sum);
}

/// Sends the item of `future`. Completes early if the receiver is dropped, so that `future` is
/// dropped, too.
fn send_unless_unwanted<F: Future<Error = ()>>(
    mut future: F,
    sender: oneshot::Sender<F::Item>,
) -> impl Future<Item = (), Error = ()> {
    let mut sender = Some(sender);
    future::poll_fn(move || {
        let is_unwanted = match &mut sender {
            Some(sender) => sender.poll_cancel()?.is_ready(),
            None => true,
        };
        if is_unwanted {
            return Ok(Async::Ready(()));
        }
        let item = try_ready!(future.poll());
        if let Some(sender) = sender.take() {
            let _ = sender.send(item);
        }
        Ok(Async::Ready(()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;
    use support::{Task, within_time};

    #[test]
    fn a_sum_that_is_wanted_arrives() {
        within_time(|| {
            let (sender, sum) = oneshot::channel();
            add_up(1..=10, sender);
            assert_eq!(sum.wait(), Ok(55), "the sum of 1 to 10");
        });
    }

    #[test]
    fn the_thread_stops_early() {
        within_time(|| {
            let (sender, sum) = oneshot::channel();
            let mut sum = Some(sum);
            let taken = Cell::new(0);
            let numbers = (0..1000).inspect(|number| {
                taken.set(number + 1);
                if *number == 3 {
                    sum = None;
                }
            });
            add_up(numbers, sender);
            let taken = taken.get();
            assert!(
                taken <= 5,
                "the receiver was dropped after 4 numbers, {taken} were taken"
            );
        });
    }

    #[test]
    fn an_item_that_is_wanted_arrives() {
        within_time(|| {
            let (finish, work) = oneshot::channel();
            let (sender, item) = oneshot::channel();
            let mut task = Task::new(send_unless_unwanted(work.map_err(drop), sender));
            task.expect_not_ready();
            finish.send("item").unwrap();
            assert_ne!(
                task.wakes(),
                0,
                "the work is done, but the task was not woken"
            );
            assert_eq!(task.poll(), Ok(Async::Ready(())), "the work is done");
            assert_eq!(item.wait(), Ok("item"));
        });
    }

    #[test]
    fn the_future_stops_early() {
        within_time(|| {
            let (finish, work) = oneshot::channel::<()>();
            let (sender, item) = oneshot::channel();
            let mut task = Task::new(send_unless_unwanted(work.map_err(drop), sender));
            task.expect_not_ready();
            assert_eq!(task.wakes(), 0, "woken, although nothing has happened");
            drop(item);
            assert_ne!(
                task.wakes(),
                0,
                "the receiver was dropped, but the task was not woken: which poll registers it?"
            );
            assert_eq!(
                task.poll(),
                Ok(Async::Ready(())),
                "the receiver was dropped"
            );
            drop(task);
            assert!(finish.is_canceled(), "the work was not dropped");
        });
    }
}
