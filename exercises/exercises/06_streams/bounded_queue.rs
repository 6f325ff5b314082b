// Two tasks work together: one sends items, and the other receives them. The queue between them has
// room for a few items. If it is full, the sender waits for room. If it is empty, the receiver
// waits for an item. So there are two tasks to keep, and two that have to be woken.
//
// The queue, its end and the flushing are there. Write `start_send` and `poll`.
// `docs/sinks.md`, "A sink of your own", and `docs/streams.md`, "A stream of your own".
#![allow(unused, reason = "you will use them")]

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures::task::{self, Task};
use futures::{Async, AsyncSink, Poll, Sink, StartSend, Stream};

fn main() {}

/// Makes a queue with room for `room` items.
fn queue<T>(room: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Mutex::new(Shared {
        items: VecDeque::new(),
        room,
        sender: None,
        receiver: None,
        is_closed: false,
    }));
    (Sender(Arc::clone(&shared)), Receiver(shared))
}

struct Sender<T>(Arc<Mutex<Shared<T>>>);

struct Receiver<T>(Arc<Mutex<Shared<T>>>);

struct Shared<T> {
    items: VecDeque<T>,
    room: usize,
    /// The task that waits for room.
    sender: Option<Task>,
    /// The task that waits for an item.
    receiver: Option<Task>,
    /// Whether the sender is gone.
    is_closed: bool,
}

/// Wakes a task, if there is one. Call it without the lock: the task may run at once.
fn wake(task: Option<Task>) {
    if let Some(task) = task {
        task.notify();
    }
}

impl<T> Sink for Sender<T> {
    type SinkItem = T;
    type SinkError = ();

    fn start_send(&mut self, item: T) -> StartSend<T, ()> {
        let mut shared = self.0.lock().unwrap();
        // TODO: put the item into the queue, if there is room.
        todo!()
    }

    /// An item in the queue needs no further help of the sender.
    fn poll_complete(&mut self) -> Poll<(), ()> {
        Ok(Async::Ready(()))
    }

    fn close(&mut self) -> Poll<(), ()> {
        self.poll_complete()
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // After a panic under the lock, there is nothing left to do.
        let Ok(mut shared) = self.0.lock() else {
            return;
        };
        shared.is_closed = true;
        let receiver = shared.receiver.take();
        drop(shared);
        wake(receiver);
    }
}

impl<T> Stream for Receiver<T> {
    type Item = T;
    type Error = ();

    /// The stream ends when the sender is gone and all its items are received.
    fn poll(&mut self) -> Poll<Option<T>, ()> {
        let mut shared = self.0.lock().unwrap();
        // TODO: take an item out of the queue, if there is one.
        todo!()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{Future, future, stream};
    use support::{Task, within_time};

    /// Sends an item, on a task of its own. Resolves when the queue has taken it.
    fn send<'a>(
        sender: &'a mut Sender<&'static str>,
        item: &'static str,
    ) -> Task<impl Future<Item = (), Error = ()> + use<'a>> {
        Task::new(future::poll_fn(move || {
            Ok(match sender.start_send(item)? {
                AsyncSink::Ready => Async::Ready(()),
                AsyncSink::NotReady(back) => {
                    assert_eq!(back, item, "give the item back");
                    Async::NotReady
                }
            })
        }))
    }

    /// Receives an item, on a task of its own.
    fn receive<'a>(
        receiver: &'a mut Receiver<&'static str>,
    ) -> Task<impl Future<Item = Option<&'static str>, Error = ()> + use<'a>> {
        Task::new(future::poll_fn(|| receiver.poll()))
    }

    const SENT: Poll<(), ()> = Ok(Async::Ready(()));

    fn received(item: &'static str) -> Poll<Option<&'static str>, ()> {
        Ok(Async::Ready(Some(item)))
    }

    #[test]
    fn the_sender_waits_for_room() {
        within_time(|| {
            let (mut sender, mut receiver) = queue(2);
            for item in ["a", "b"] {
                assert_eq!(
                    send(&mut sender, item).poll(),
                    SENT,
                    "there is room for two"
                );
            }
            let mut third = send(&mut sender, "c");
            assert_eq!(
                third.poll(),
                Ok(Async::NotReady),
                "the queue is full: the sender has to wait"
            );
            assert_eq!(
                third.wakes(),
                0,
                "nothing has changed, and the sender is woken"
            );

            let mut next = receive(&mut receiver);
            assert_eq!(next.poll(), received("a"), "the items keep their order");
            assert_eq!(
                third.wakes(),
                1,
                "the receiver has made room, and the sender sleeps on: wake the sender"
            );
            assert_eq!(third.poll(), SENT, "there is room again");
            for item in ["b", "c"] {
                assert_eq!(next.poll(), received(item), "no item is lost");
            }
            assert_eq!(
                third.wakes(),
                1,
                "the sender does not wait for room any more: do not wake it"
            );
        });
    }

    #[test]
    fn the_receiver_waits_for_an_item() {
        within_time(|| {
            let (mut sender, mut receiver) = queue(2);
            let mut next = receive(&mut receiver);
            for (n, item) in ["a", "b"].into_iter().enumerate() {
                assert_eq!(next.poll(), Ok(Async::NotReady), "the queue is empty");
                assert_eq!(
                    next.wakes(),
                    n,
                    "nothing has changed, and the receiver is woken"
                );
                assert_eq!(send(&mut sender, item).poll(), SENT, "there is room");
                assert_eq!(
                    next.wakes(),
                    n + 1,
                    "an item is there, and the receiver sleeps on: wake the receiver"
                );
                assert_eq!(next.poll(), received(item));
            }
        });
    }

    #[test]
    fn the_items_that_were_sent_arrive_before_the_end() {
        within_time(|| {
            let (mut sender, mut receiver) = queue(2);
            assert_eq!(send(&mut sender, "a").poll(), SENT, "there is room");
            drop(sender);
            let mut next = receive(&mut receiver);
            assert_eq!(
                next.poll(),
                received("a"),
                "the sender is gone, but its item is in the queue"
            );
            assert_eq!(next.poll(), Ok(Async::Ready(None)), "the end");

            let (sender, mut receiver) = queue(2);
            let mut next = receive(&mut receiver);
            assert_eq!(next.poll(), Ok(Async::NotReady), "the queue is empty");
            drop(sender);
            assert_eq!(next.wakes(), 1, "the end wakes the receiver as well");
            assert_eq!(next.poll(), Ok(Async::Ready(None)), "the end");
        });
    }

    #[test]
    fn many_items_pass_a_short_queue() {
        within_time(|| {
            let (sender, receiver) = queue(3);
            let sent = stream::iter_ok(0..1000).forward(sender).map(drop);
            let both = sent.join(receiver.collect());
            let ((), items) = Task::new(both).finish().unwrap();
            assert!(items.into_iter().eq(0..1000), "all items, in their order");
        });
    }
}
