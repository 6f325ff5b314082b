//! Fails: events_that_do_not_fit_are_counted: it must not wait for room

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::sync::mpsc;
use futures::{Future, Sink, Stream};

fn main() {}

type Callback = Box<dyn FnMut(u32) + Send>;

const ROOM: usize = 8;

fn events(lost: Arc<AtomicUsize>) -> (Callback, impl Stream<Item = u32, Error = ()>) {
    let (mut sender, events) = mpsc::channel(ROOM);
    let callback = move |event| {
        if (&mut sender).send(event).wait().is_err() {
            lost.fetch_add(1, Ordering::Relaxed);
        }
    };
    (Box::new(callback), events)
}
