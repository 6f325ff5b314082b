// A library calls your callback at each event, on a thread of its own. You want to take the events
// with `for_each`, so you need a stream. But the events may come faster than you take them, and the
// library must not wait in the callback.
//
// Put a channel between the two: with a bound, so that your program does not grow. The callback
// discards the events that do not fit, and counts them.
// `docs/streams.md`, "A stream from callbacks", and `docs/patterns.md`, "A callback becomes a
// future".
#![allow(unused, reason = "you will use them")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::sync::mpsc;
use futures::{Stream, stream};

fn main() {}

/// The library owns it, calls it at each event, and drops it at the end.
type Callback = Box<dyn FnMut(u32) + Send>;

/// The channel has room for so many events.
const ROOM: usize = 8;

/// Returns a callback for the library, and the stream of its events. The stream ends when the
/// library drops the callback. `lost` counts the events that do not fit into the channel.
fn events(lost: Arc<AtomicUsize>) -> (Callback, impl Stream<Item = u32, Error = ()>) {
    // TODO: a channel of `ROOM` events, and a callback that never waits.
    (Box::new(|_event| ()), stream::empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::thread;
    use std::time::Duration;

    use futures::{Async, future};
    use support::{Task, within_time};

    #[test]
    fn each_event_wakes_the_reader_and_arrives() {
        within_time(|| {
            let (mut callback, mut events) = events(Arc::default());
            let mut next = Task::new(future::poll_fn(|| events.poll()));
            for event in [7, 8] {
                let first = next.poll();
                assert_eq!(first, Ok(Async::NotReady), "there is no event yet");
                let before = next.wakes();
                callback(event);
                assert_eq!(next.wakes() - before, 1, "the event wakes the reader");
                assert_eq!(next.poll(), Ok(Async::Ready(Some(event))));
            }
        });
    }

    #[test]
    fn the_stream_ends_with_the_callback() {
        within_time(|| {
            let (mut callback, mut events) = events(Arc::default());
            callback(1);
            drop(callback);
            let mut next = Task::new(future::poll_fn(|| events.poll()));
            assert_eq!(next.poll(), Ok(Async::Ready(Some(1))));
            assert_eq!(
                next.poll(),
                Ok(Async::Ready(None)),
                "the callback is dropped, and the stream does not end: who still has a sender?"
            );
        });
    }

    #[test]
    fn events_that_do_not_fit_are_counted() {
        within_time(|| {
            let lost = Arc::new(AtomicUsize::new(0));
            let (mut callback, events) = events(Arc::clone(&lost));
            let (sender, called) = std::sync::mpsc::channel();
            thread::spawn(move || {
                (0..1000).for_each(&mut callback);
                let _ = sender.send(());
            });
            let called = called.recv_timeout(Duration::from_secs(5));
            assert!(
                called.is_ok(),
                "no reader takes an event, and the callback has not returned for five seconds: it must not \
                 wait for room"
            );
            let events = Task::new(events.collect()).finish().unwrap();
            assert!(
                events.len() <= ROOM + 1, // one more for the sender
                "no event was taken, and the channel holds {} events: give it a bound",
                events.len()
            );
            assert!(events.len() >= ROOM, "there is room for {ROOM} events");
            let kept = 0..events.len() as u32;
            assert!(kept.eq(events.iter().copied()), "the first events are kept");
            let lost = lost.load(Ordering::SeqCst);
            assert_eq!(
                events.len() + lost,
                1000,
                "the events that are kept or lost"
            );
        });
    }

    #[test]
    fn the_callback_does_not_need_the_stream() {
        within_time(|| {
            let (mut callback, events) = events(Arc::default());
            drop(events);
            callback(1); // the library does not know that the reader is gone, and must not see a panic
        });
    }
}
