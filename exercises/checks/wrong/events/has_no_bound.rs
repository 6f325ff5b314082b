//! Fails: events_that_do_not_fit_are_counted: give it a bound

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::Stream;
use futures::sync::mpsc;

fn main() {}

type Callback = Box<dyn FnMut(u32) + Send>;

const ROOM: usize = 8;

fn events(lost: Arc<AtomicUsize>) -> (Callback, impl Stream<Item = u32, Error = ()>) {
    let (sender, events) = mpsc::unbounded();
    let callback = move |event| {
        if sender.unbounded_send(event).is_err() {
            lost.fetch_add(1, Ordering::Relaxed);
        }
    };
    (Box::new(callback), events)
}
