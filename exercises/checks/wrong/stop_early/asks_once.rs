//! Fails: the_thread_stops_early: the receiver was dropped after 4 numbers, 1000 were taken

use futures::sync::oneshot;
use futures::{Async, Future, future, try_ready};

fn main() {}

/// Adds up all numbers and sends the sum. Stops early if the receiver is dropped.
fn add_up(numbers: impl Iterator<Item = u64>, sender: oneshot::Sender<u64>) {
    if sender.is_canceled() {
        return;
    }
    let mut sum = 0;
    for number in numbers {
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
        if let Some(sender) = &mut sender {
            if sender.poll_cancel()?.is_ready() {
                return Ok(Async::Ready(()));
            }
        }
        let item = try_ready!(future.poll());
        if let Some(sender) = sender.take() {
            let _ = sender.send(item);
        }
        Ok(Async::Ready(()))
    })
}
