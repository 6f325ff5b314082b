//! Fails: a_ticket_stays_when_another_one_leaves: the ticket was moved between two polls

use std::cell::Cell;
use std::pin::Pin;
use std::ptr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use futures03::task::AtomicWaker;

fn main() {}

/// The call of a number, which another task makes.
#[derive(Default)]
struct Call {
    is_made: AtomicBool,
    waiting: AtomicWaker,
}

impl Call {
    fn make(&self) {
        self.is_made.store(true, Ordering::SeqCst);
        self.waiting.wake();
    }
}

/// Waits until its number is called.
struct Ticket {
    number: u32,
    call: Arc<Call>,
    /// The address of the ticket itself, from its first poll on.
    place: Cell<Option<usize>>,
}

impl Ticket {
    fn new(number: u32, call: Arc<Call>) -> Ticket {
        let place = Cell::new(None);
        Ticket {
            number,
            call,
            place,
        }
    }
}

impl Future for Ticket {
    type Output = u32;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u32> {
        let here = ptr::from_ref(&*self).addr();
        let place = self.place.get().unwrap_or(here);
        assert_eq!(here, place, "the ticket was moved between two polls");
        self.place.set(Some(place));
        self.call.waiting.register(cx.waker());
        if self.call.is_made.load(Ordering::SeqCst) {
            Poll::Ready(self.number)
        } else {
            Poll::Pending
        }
    }
}

/// The tickets of all that wait.
struct Waiting(Vec<Ticket>);

impl Default for Waiting {
    fn default() -> Waiting {
        Waiting(Vec::with_capacity(1000))
    }
}

impl Waiting {
    fn add(&mut self, ticket: Ticket) {
        self.0.push(ticket);
    }

    /// Polls all tickets, removes those that are ready, and returns their numbers.
    fn poll_all(&mut self, cx: &mut Context<'_>) -> Vec<u32> {
        let mut called = Vec::new();
        self.0.retain_mut(|ticket| match Pin::new(ticket).poll(cx) {
            Poll::Ready(number) => {
                called.push(number);
                false
            }
            Poll::Pending => true,
        });
        called
    }
}
