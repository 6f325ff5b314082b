//! The queue between the handles of a connection and its driver.
//!
//! The channels of tokio 0.1 and futures 0.1 have a bound as well, but neither fits here. Both keep
//! memory for every request that was given up while it waited for room, so a client whose server
//! hangs grows without end. And a request that is sent while the receiver goes away can stay in the
//! channel without ever being answered. In this queue one lock covers everything, and closing it is
//! one step.
//!
//! An executor may run any code when a task is cloned, woken or dropped, and that code may use this
//! queue. So all three happen only after the lock is released.

use std::collections::{BTreeMap, VecDeque};
use std::mem;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use futures::AsyncSink;
use futures::sync::oneshot;
use futures::task::{self, Task};
use parking_lot::Mutex;

use super::call::Call;
use crate::error::{KvsError, Result};

/// The number of requests for which the queue has room. Further requests wait.
pub const QUEUE: usize = 64;

/// Creates a queue for [`QUEUE`] requests.
pub(super) fn queue() -> (Sender, Receiver) {
    let state = Arc::default();
    (Sender(Arc::clone(&state)), Receiver(state))
}

/// The end that the handles and futures share. Dropping it wakes the driver.
#[derive(Debug)]
pub(super) struct Sender(Arc<Mutex<State>>);

/// The end of the driver.
#[derive(Debug)]
pub(super) struct Receiver(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    calls: VecDeque<Call>,
    /// The requests that wait for room, in the order in which they came.
    waiting: BTreeMap<u64, Task>,
    tickets: u64,
    /// The number of places reserved for requests that were woken and have not been polled yet.
    reserved: usize,
    driver: Option<Task>,
    /// Whether the driver waits for a request, and so has to be woken for one.
    is_found_empty: bool,
    is_unused: bool,
    /// Why the connection ended.
    end: Option<KvsError>,
}

impl State {
    fn has_room(&self) -> bool {
        self.calls.len() + self.reserved < QUEUE
    }

    /// Reserves a free place for the request that has waited longest, and returns the task to wake.
    fn admit(&mut self) -> Option<Task> {
        if !self.has_room() {
            return None;
        }
        let (_, task) = self.waiting.pop_first()?;
        self.reserved += 1;
        Some(task)
    }
}

/// The entry of one request into the queue. If it is dropped while it waits for room, it gives up
/// its place.
#[derive(Debug)]
pub(super) struct Entry {
    queue: Arc<Sender>,
    /// `None` unless the request waits for room.
    ticket: Option<u64>,
}

impl Entry {
    pub(super) fn new(queue: &Arc<Sender>) -> Entry {
        Entry {
            queue: Arc::clone(queue),
            ticket: None,
        }
    }

    /// Puts `call` into the queue. If the queue is full, returns the call and registers the current
    /// task to be woken.
    ///
    /// # Errors
    ///
    /// The error that ended the connection.
    pub(super) fn start_send(&mut self, call: Call) -> Result<AsyncSink<Call>> {
        // Most calls find room, and need not register a task.
        let mut task = None;
        loop {
            let mut state = self.queue.0.lock();
            if let Some(error) = state.end.clone() {
                drop(state);
                return Err(error);
            }
            match self.ticket {
                None if state.has_room() => {}
                Some(ticket) if !state.waiting.contains_key(&ticket) => {
                    state.reserved -= 1;
                    self.ticket = None;
                }
                ticket => {
                    let Some(task) = task.take() else {
                        drop(state);
                        task = Some(task::current());
                        continue;
                    };
                    let ticket = ticket.unwrap_or_else(|| {
                        state.tickets += 1;
                        state.tickets
                    });
                    let earlier = state.waiting.insert(ticket, task);
                    self.ticket = Some(ticket);
                    drop(state);
                    drop(earlier);
                    return Ok(AsyncSink::NotReady(call));
                }
            }
            state.calls.push_back(call);
            let was_found_empty = mem::take(&mut state.is_found_empty);
            let driver = state.driver.take_if(|_| was_found_empty);
            drop(state);
            wake(driver);
            return Ok(AsyncSink::Ready);
        }
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let Some(ticket) = self.ticket else {
            return;
        };
        let mut state = self.queue.0.lock();
        if state.end.is_some() {
            return;
        }
        let given_up = state.waiting.remove(&ticket);
        // The request was woken, so a place is reserved for it. The next request gets that place.
        let next = given_up.is_none().then(|| {
            state.reserved -= 1;
            state.admit()
        });
        drop(state);
        wake(next.flatten());
    }
}

impl Drop for Sender {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.is_unused = true;
        let driver = state.driver.take();
        drop(state);
        wake(driver);
    }
}

impl Receiver {
    /// Returns whether every handle and every future of the connection is gone. If not, registers
    /// the current task to be woken when they are.
    pub(super) fn is_unused(&self) -> bool {
        let state = self.0.lock();
        let is_registered = state.driver.as_ref().is_some_and(Task::will_notify_current);
        if is_registered || state.is_unused {
            return state.is_unused;
        }
        drop(state);
        let task = task::current();
        let mut state = self.0.lock();
        let earlier = state.driver.replace(task);
        let is_unused = state.is_unused;
        drop(state);
        drop(earlier);
        is_unused
    }

    /// Takes the next request. If there is none, the task that [`is_unused`](Receiver::is_unused)
    /// has registered is woken when one arrives.
    pub(super) fn next_call(&self) -> Option<Call> {
        let mut state = self.0.lock();
        let call = state.calls.pop_front();
        state.is_found_empty = call.is_none();
        let admitted = state.admit();
        drop(state);
        wake(admitted);
        call
    }

    /// Answers every request that waits, and every later one, with `error`.
    pub(super) fn end(&self, error: &KvsError) {
        let mut state = self.0.lock();
        state.end = Some(error.clone());
        let calls = mem::take(&mut state.calls);
        let waiting = mem::take(&mut state.waiting);
        let driver = state.driver.take();
        drop(state);
        for call in calls {
            answer(call.reply, Err(error.clone()));
        }
        for task in waiting.into_values() {
            wake(Some(task));
        }
        drop(driver);
    }
}

/// Answers a request. If its future is gone, nothing happens.
pub(super) fn answer<T>(reply: oneshot::Sender<T>, value: T) {
    guarded(|| drop(reply.send(value)));
}

fn wake(task: Option<Task>) {
    if let Some(task) = task {
        guarded(move || task.notify());
    }
}

/// Calls code of an executor. If that panics, only its own task is not woken; the tasks after it
/// are.
fn guarded(call: impl FnOnce()) {
    // The panic hook has reported the panic.
    let _ = panic::catch_unwind(AssertUnwindSafe(call));
}

#[cfg(test)]
mod tests {
    use futures::executor::{self, Notify, Spawn};
    use futures::future::{self, PollFn};
    use futures::{Async, Future, Poll};

    use super::*;
    use crate::protocol::{Kind, Response};

    type Reply = oneshot::Receiver<Result<Response>>;

    fn call() -> (Call, Reply) {
        let (reply, receiver) = oneshot::channel();
        let call = Call {
            body: "body".into(),
            kind: Kind::Get,
            reply,
        };
        (call, receiver)
    }

    /// Sends one request whenever it is polled, until the queue has taken it.
    fn sending(queue: &Arc<Sender>) -> Spawn<PollFn<impl FnMut() -> Poll<(), KvsError>>> {
        let mut entry = Entry::new(queue);
        let mut state = Some(call().0);
        executor::spawn(future::poll_fn(move || {
            match entry.start_send(state.take().unwrap())? {
                AsyncSink::Ready => Ok(Async::Ready(())),
                AsyncSink::NotReady(call) => {
                    state = Some(call);
                    Ok(Async::NotReady)
                }
            }
        }))
    }

    struct Wake<F>(F);

    impl<F: Fn() + Send + Sync> Notify for Wake<F> {
        fn notify(&self, _: usize) {
            (self.0)();
        }
    }

    fn on_wake(f: impl Fn() + Send + Sync + 'static) -> Arc<Wake<impl Fn() + Send + Sync>> {
        Arc::new(Wake(f))
    }

    fn fill(queue: &Arc<Sender>) {
        for _ in 0..QUEUE {
            let sent = sending(queue).poll_future_notify(&on_wake(|| ()), 0);
            assert!(sent.unwrap().is_ready());
        }
    }

    fn cause() -> KvsError {
        KvsError::KeyNotFound
    }

    #[test]
    fn requests_that_were_given_up_leave_nothing_in_a_full_queue() {
        let (sender, receiver) = queue();
        let sender = Arc::new(sender);
        fill(&sender);
        for _ in 0..1000 {
            let sent = sending(&sender).poll_future_notify(&on_wake(|| ()), 0);
            assert!(sent.unwrap().is_not_ready());
        }
        let state = receiver.0.lock();
        assert_eq!((state.waiting.len(), state.reserved), (0, 0));
    }

    #[test]
    fn a_place_that_is_given_up_goes_to_the_next_request() {
        let (sender, receiver) = queue();
        let sender = Arc::new(sender);
        fill(&sender);
        let nothing = on_wake(|| ());
        let (mut first, mut second) = (sending(&sender), sending(&sender));
        for waiting in [&mut first, &mut second] {
            let sent = waiting.poll_future_notify(&nothing, 0);
            assert!(sent.unwrap().is_not_ready());
        }
        assert!(receiver.next_call().is_some());
        // The place is reserved for the first one, which does not take it.
        let later = sending(&sender).poll_future_notify(&nothing, 0);
        assert!(later.unwrap().is_not_ready());
        drop(first);
        assert!(second.poll_future_notify(&nothing, 0).unwrap().is_ready());
    }

    #[test]
    fn an_executor_may_use_the_queue_while_it_is_told_to_wake_a_task() {
        let (sender, receiver) = queue();
        let sender = Arc::new(sender);
        fill(&sender);
        // Each of these deadlocks if the lock is held.
        let again = Arc::clone(&sender);
        let uses_it = on_wake(move || drop(Entry::new(&again).start_send(call().0)));
        let mut waiting = sending(&sender);
        let sent = waiting.poll_future_notify(&uses_it, 0);
        assert!(sent.unwrap().is_not_ready());
        assert!(receiver.next_call().is_some());

        let mut driver = executor::spawn(future::poll_fn(|| {
            assert!(!receiver.is_unused());
            while receiver.next_call().is_some() {}
            Ok::<_, ()>(Async::<()>::NotReady)
        }));
        driver.poll_future_notify(&uses_it, 0).unwrap();
        let sent = sending(&sender).poll_future_notify(&uses_it, 0);
        assert!(sent.unwrap().is_ready());
        drop(driver);
        receiver.end(&cause());
    }

    #[test]
    fn a_panic_of_an_executor_costs_others_nothing() {
        let (sender, receiver) = queue();
        let sender = Arc::new(sender);
        fill(&sender);
        let panics = on_wake(|| panic!("as it should"));
        let mut unlucky = sending(&sender);
        let sent = unlucky.poll_future_notify(&panics, 0);
        assert!(sent.unwrap().is_not_ready());
        let (woken, is_woken) = std::sync::mpsc::channel();
        let mut lucky = sending(&sender);
        let sent = lucky.poll_future_notify(&on_wake(move || woken.send(()).unwrap()), 0);
        assert!(sent.unwrap().is_not_ready());
        receiver.end(&cause());
        is_woken.try_recv().unwrap();
        let ended = lucky.poll_future_notify(&on_wake(|| ()), 0);
        assert!(matches!(ended, Err(KvsError::KeyNotFound)));
    }

    #[test]
    fn the_end_answers_what_was_sent_and_what_comes_later() {
        let (sender, receiver) = queue();
        let sender = Arc::new(sender);
        let (sent, reply) = call();
        let ready = Entry::new(&sender).start_send(sent).unwrap();
        assert!(matches!(ready, AsyncSink::Ready));
        receiver.end(&cause());
        assert!(matches!(reply.wait().unwrap(), Err(KvsError::KeyNotFound)));
        let later = Entry::new(&sender).start_send(call().0);
        assert!(matches!(later, Err(KvsError::KeyNotFound)));
    }
}
