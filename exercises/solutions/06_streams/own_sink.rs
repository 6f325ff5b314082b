// Each `NotReady` comes with a task that is kept, and `take` wakes it: only the device knows when
// there is room again. `take` wakes the task after any message. It cannot know how much room the
// task needs. If there is still too little, the task offers its message again, and is kept again.
//
// A message that can never fit is an error. `NotReady` would promise a wake-up after which it fits.

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
        let mut state = self.0.lock().unwrap();
        if state.messages.is_empty() {
            return Ok(Async::Ready(()));
        }
        state.waiting = Some(task::current());
        Ok(Async::NotReady)
    }

    fn close(&mut self) -> Poll<(), TooLong> {
        self.poll_complete()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures::{Future, future};
    use support::{Task, within_time};

    /// Offers a message until the sink takes it, on a task of its own.
    fn offer(
        outbox: &Outbox,
        message: &str,
    ) -> Task<impl Future<Item = (), Error = TooLong> + use<>> {
        let (mut outbox, message) = (outbox.clone(), message.to_owned());
        let mut unsent = Some(message.clone());
        Task::new(future::poll_fn(move || {
            let offered = unsent
                .take()
                .expect("the sink has taken the message already");
            Ok(match outbox.start_send(offered)? {
                AsyncSink::Ready => Async::Ready(()),
                AsyncSink::NotReady(back) => {
                    assert_eq!(back, message, "give back the message that does not fit");
                    unsent = Some(back);
                    Async::NotReady
                }
            })
        }))
    }

    fn flush(outbox: &Outbox) -> Task<impl Future<Item = (), Error = TooLong> + use<>> {
        let mut outbox = outbox.clone();
        Task::new(future::poll_fn(move || outbox.poll_complete()))
    }

    const TAKEN: Poll<(), TooLong> = Ok(Async::Ready(()));
    const NOT_READY: Poll<(), TooLong> = Ok(Async::NotReady);

    #[test]
    fn a_full_outbox_gives_the_message_back() {
        within_time(|| {
            let outbox = Outbox::default();
            assert_eq!(offer(&outbox, "four").poll(), TAKEN, "it is empty");
            assert_eq!(offer(&outbox, "sixsix").poll(), TAKEN, "10 bytes fit");
            let mut third = offer(&outbox, "last");
            assert_eq!(
                third.poll(),
                NOT_READY,
                "there are 10 bytes in it: give the message back"
            );
            assert_eq!(third.poll(), NOT_READY, "nothing has changed");
            assert_eq!(
                third.wakes(),
                0,
                "nothing has changed, and the task is woken"
            );

            assert_eq!(outbox.take().as_deref(), Some("four"), "the oldest message");
            assert_eq!(
                third.wakes(),
                1,
                "there is room again: `NotReady` has promised that the task is woken"
            );
            assert_eq!(third.poll(), TAKEN, "there is room again");
            let rest: Vec<_> = std::iter::from_fn(|| outbox.take()).collect();
            assert_eq!(rest, ["sixsix", "last"], "each message once, and none lost");
            assert_eq!(
                third.wakes(),
                1,
                "its message is taken, and its task is woken again"
            );
        });
    }

    #[test]
    fn a_long_message_waits_for_enough_room() {
        within_time(|| {
            let outbox = Outbox::default();
            for message in ["one", "two"] {
                assert_eq!(offer(&outbox, message).poll(), TAKEN, "there is room");
            }
            let mut long = offer(&outbox, "ten bytes!");
            assert_eq!(
                long.poll(),
                NOT_READY,
                "6 bytes are in it, and 10 do not fit"
            );
            outbox.take();
            assert_eq!(
                long.poll(),
                NOT_READY,
                "3 bytes are in it, and 10 do not fit"
            );
            let before = long.wakes();
            outbox.take();
            assert_eq!(
                long.wakes() - before,
                1,
                "each `NotReady` is a promise, the second one as well"
            );
            assert_eq!(long.poll(), TAKEN, "it is empty, and 10 bytes fit");
        });
    }

    #[test]
    fn the_last_task_is_woken() {
        within_time(|| {
            let outbox = Outbox::default();
            assert_eq!(offer(&outbox, "ten bytes!").poll(), TAKEN, "it is empty");
            let mut first = offer(&outbox, "a");
            assert_eq!(first.poll(), NOT_READY, "there is no room");
            drop(first); // and another task takes over
            let mut second = offer(&outbox, "b");
            assert_eq!(second.poll(), NOT_READY, "there is no room");
            outbox.take();
            assert_eq!(
                second.wakes(),
                1,
                "two tasks were refused: the last one is the one to wake"
            );
        });
    }

    #[test]
    fn a_message_that_never_fits_is_an_error() {
        within_time(|| {
            let outbox = Outbox::default();
            let result = offer(&outbox, "11 bytes...").poll();
            assert_eq!(result, Err(TooLong), "it would wait forever");
            assert_eq!(offer(&outbox, "short").poll(), TAKEN, "a short one fits");
        });
    }

    #[test]
    fn a_flush_waits_for_the_device() {
        within_time(|| {
            let outbox = Outbox::default();
            assert_eq!(flush(&outbox).poll(), TAKEN, "there is nothing to flush");
            for message in ["one", "two"] {
                assert_eq!(offer(&outbox, message).poll(), TAKEN, "there is room");
            }
            let mut flush = flush(&outbox);
            for message in ["one", "two"] {
                assert_eq!(
                    flush.poll(),
                    NOT_READY,
                    "taken is not sent: {message:?} is still in the outbox"
                );
                let before = flush.wakes();
                assert_eq!(outbox.take().as_deref(), Some(message));
                assert_eq!(
                    flush.wakes() - before,
                    1,
                    "the device wakes the task that waits"
                );
            }
            assert_eq!(flush.poll(), TAKEN, "the device has taken all");
        });
    }

    #[test]
    fn the_device_finds_nothing() {
        within_time(|| assert_eq!(Outbox::default().take(), None, "an empty outbox"));
    }
}
