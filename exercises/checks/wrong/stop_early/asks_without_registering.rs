//! Fails: the_future_stops_early: the receiver was dropped, but the task was not woken

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
        if sender.as_ref().is_some_and(|sender| sender.is_canceled()) {
            return Ok(Async::Ready(()));
        }
        let item = try_ready!(future.poll());
        if let Some(sender) = sender.take() {
            let _ = sender.send(item);
        }
        Ok(Async::Ready(()))
    })
}
