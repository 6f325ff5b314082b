//! Fails: the_sender_waits_for_room: wake the sender

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
        if shared.items.len() == shared.room {
            shared.sender = Some(task::current());
            return Ok(AsyncSink::NotReady(item));
        }
        shared.items.push_back(item);
        let receiver = shared.receiver.take();
        drop(shared);
        wake(receiver);
        Ok(AsyncSink::Ready)
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
        if let Some(item) = shared.items.pop_front() {
            return Ok(Async::Ready(Some(item)));
        }
        if shared.is_closed {
            return Ok(Async::Ready(None));
        }
        shared.receiver = Some(task::current());
        Ok(Async::NotReady)
    }
}
