//! Fails: a_flush_waits_for_the_device: taken is not sent

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use futures::task::{self, Task};
use futures::{Async, AsyncSink, Poll, Sink, StartSend};

fn main() {}

/// The bytes that the messages in an outbox may have together.
const ROOM: usize = 10;

/// A message with more than [`ROOM`] bytes. It would never fit.
#[derive(Debug, PartialEq)]
struct TooLong;

#[derive(Clone, Default)]
struct Outbox(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    messages: VecDeque<String>,
    /// The sum of the lengths of the messages.
    len: usize,
    /// The task that waits for the device.
    waiting: Option<Task>,
}

impl Outbox {
    /// The device takes the oldest message.
    fn take(&self) -> Option<String> {
        let mut state = self.0.lock().unwrap();
        let message = state.messages.pop_front()?;
        state.len -= message.len();
        let waiting = state.waiting.take();
        // The woken task may run at once, and use this outbox.
        drop(state);
        if let Some(task) = waiting {
            task.notify();
        }
        Some(message)
    }
}

impl Sink for Outbox {
    type SinkItem = String;
    type SinkError = TooLong;

    fn start_send(&mut self, message: String) -> StartSend<String, TooLong> {
        if message.len() > ROOM {
            return Err(TooLong);
        }
        let mut state = self.0.lock().unwrap();
        if state.len + message.len() > ROOM {
            state.waiting = Some(task::current());
            return Ok(AsyncSink::NotReady(message));
        }
        state.len += message.len();
        state.messages.push_back(message);
        Ok(AsyncSink::Ready)
    }

    /// Resolves when the device has taken all messages.
    fn poll_complete(&mut self) -> Poll<(), TooLong> {
        Ok(Async::Ready(()))
    }

    fn close(&mut self) -> Poll<(), TooLong> {
        self.poll_complete()
    }
}
