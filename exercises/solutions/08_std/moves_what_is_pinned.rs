// All fields of `Ticket` may move, so the compiler took the whole for `Unpin`. For an `Unpin` type the
// promise of a `Pin` is empty: `Pin::new` takes any `&mut`, and the ticket may move after that.
//
// The `Vec` moves the boxes, and the tickets stay on the heap. `pin!` does not help here, because a
// ticket outlives the function that adds it.

use std::cell::Cell;
use std::marker::PhantomPinned;
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
    /// An address is a plain number to the compiler. This field tells it what the number is for.
    _pinned: PhantomPinned,
}

impl Ticket {
    fn new(number: u32, call: Arc<Call>) -> Ticket {
        let place = Cell::new(None);
        Ticket {
            number,
            call,
            place,
            _pinned: PhantomPinned,
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
#[derive(Default)]
struct Waiting(Vec<Pin<Box<Ticket>>>);

impl Waiting {
    fn add(&mut self, ticket: Ticket) {
        self.0.push(Box::pin(ticket));
    }

    /// Polls all tickets, removes those that are ready, and returns their numbers.
    fn poll_all(&mut self, cx: &mut Context<'_>) -> Vec<u32> {
        let mut called = Vec::new();
        self.0.retain_mut(|ticket| match ticket.as_mut().poll(cx) {
            Poll::Ready(number) => {
                called.push(number);
                false
            }
            Poll::Pending => true,
        });
        called
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::marker::PhantomData;
    use support::{StdTask, within_time};

    fn tickets(waiting: &mut Waiting, numbers: std::ops::Range<u32>) -> Vec<Arc<Call>> {
        let add = |number| {
            let call = Arc::new(Call::default());
            waiting.add(Ticket::new(number, Arc::clone(&call)));
            call
        };
        numbers.map(add).collect()
    }

    #[test]
    fn a_ticket_stays_when_the_list_grows() {
        within_time(|| {
            let (mut waiting, task) = (Waiting::default(), StdTask::new());
            for number in 0..100 {
                let call = tickets(&mut waiting, number..number + 1).remove(0);
                let called = waiting.poll_all(&mut Context::from_waker(&task.waker()));
                assert!(called.is_empty(), "no number was called");
                drop(call);
            }
        });
    }

    #[test]
    fn a_ticket_stays_when_another_one_leaves() {
        within_time(|| {
            let (mut waiting, task) = (Waiting::default(), StdTask::new());
            let calls = tickets(&mut waiting, 0..3);
            for number in [1, 0, 2] {
                let called = waiting.poll_all(&mut Context::from_waker(&task.waker()));
                assert!(called.is_empty(), "no number was called");
                calls[number as usize].make();
                let called = waiting.poll_all(&mut Context::from_waker(&task.waker()));
                assert_eq!(called, [number], "this number was called");
            }
            assert!(task.wakes() > 0, "no wake-up came");
        });
    }

    /// `is_unpin` is the method below if `T` is `Unpin`, and otherwise that of the trait.
    struct Probe<T>(PhantomData<T>);

    #[allow(dead_code, reason = "the test calls one of the two methods")]
    impl<T: Unpin> Probe<T> {
        fn is_unpin(&self) -> bool {
            true
        }
    }

    #[allow(dead_code, reason = "the test calls one of the two methods")]
    trait NotUnpin {
        fn is_unpin(&self) -> bool {
            false
        }
    }

    impl<T> NotUnpin for Probe<T> {}

    #[test]
    fn the_compiler_knows_that_a_ticket_must_not_move() {
        within_time(|| {
            assert!(
                !Probe::<Ticket>(PhantomData).is_unpin(),
                "`Ticket` is `Unpin`, so the compiler still lets safe code move it after its first \
                 poll: which field makes a type not `Unpin`?"
            );
        });
    }
}
