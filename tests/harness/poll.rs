//! The contract of `poll`: a future that returns `NotReady` has arranged that its task is woken. A
//! task may also poll it at any other time, on any thread.

use std::any::type_name;
use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe};
use std::rc::Rc;
use std::sync::mpsc;
use std::thread;

use futures::{Async, Future};
use kvs::KvsError;
use kvs::client::{IN_FLIGHT, QUEUE};
use kvs::protocol::MAX_FRAME_LEN;
use tokio::executor::{Executor, SpawnError};

use super::{Client, Script, Task, connect};
use crate::common::NOBODY;

/// The most polls that one request on its own should need. One poll sends it, and one finds the
/// reply. With `join`, each of the two futures may wake the task.
const FEW_POLLS: usize = 4;

/// Starts a server that answers one request for each message that the test sends.
fn answers_when_told() -> (mpsc::Sender<()>, Script) {
    let (answer, told) = mpsc::channel();
    let script = Script::start(move |mut peer| {
        while told.recv().is_ok() {
            peer.receive();
            peer.send(r#"{"Get":"v"}"#);
        }
    });
    (answer, script)
}

/// Makes so many futures that some are in flight, some in the queue, and some wait for room in it.
fn in_every_state<C: Client>(
    client: &mut C,
) -> impl Iterator<Item = impl Future<Item = Option<String>, Error = KvsError> + Send + use<C>> {
    (0..IN_FLIGHT + 3 * QUEUE).map(|n| client.get(n.to_string()))
}

/// Lets the server answer all requests at once. Futures that have waited for room may be sent in
/// another order than the one in which a test waits for them.
fn answer_all(answer: &mpsc::Sender<()>, requests: usize) {
    for _ in 0..requests {
        answer.send(()).unwrap();
    }
}

pub fn not_ready_always_leaves_a_wake_up_behind<C: Client>() {
    let (answer, script) = answers_when_told();
    let mut client = connect::<C>(script.addr);
    let mut gets: Vec<_> = in_every_state(&mut client).map(Task::new).collect();
    gets.iter_mut().for_each(Task::expect_not_ready);
    answer_all(&answer, gets.len());
    for mut get in gets {
        loop {
            get.wait_for_wake();
            match get.poll().unwrap() {
                Async::Ready(value) => break assert_eq!(value.as_deref(), Some("v")),
                Async::NotReady => {}
            }
        }
    }
    drop(answer);
    script.finish();
}

pub fn a_wake_up_that_changes_nothing_is_harmless<C: Client>() {
    let (answer, script) = answers_when_told();
    let mut client = connect::<C>(script.addr);
    let mut gets: Vec<_> = in_every_state(&mut client).map(Task::new).collect();
    for _ in 0..10 {
        gets.iter_mut().for_each(Task::expect_not_ready);
    }
    answer_all(&answer, gets.len());
    for get in gets {
        assert_eq!(get.finish().unwrap().as_deref(), Some("v"));
    }
    drop(answer);
    script.finish();
}

pub fn nothing_is_polled_while_there_is_nothing_to_do<C: Client>() {
    let (answer, script) = answers_when_told();
    let mut client = connect::<C>(script.addr);
    let mut idle = Task::new(client.get("idle".to_owned()));
    idle.expect_not_ready();
    for _ in 0..20 {
        let get = Task::new(client.get("busy".to_owned()));
        drop(get);
        assert!(
            idle.wakes() <= 1,
            "a future that waits for its reply was woken, but has nothing to do"
        );
        idle.expect_not_ready();
    }
    assert!(
        idle.wakes() <= 1,
        "a future that waits for its reply was woken, but has nothing to do"
    );
    answer.send(()).unwrap();
    assert_eq!(idle.finish().unwrap().as_deref(), Some("v"));
    drop(answer);
    script.finish();
}

pub fn one_request_needs_few_polls<C: Client>() {
    let (answer, script) = answers_when_told();
    let mut client = connect::<C>(script.addr);
    for _ in 0..20 {
        let mut get = Task::new(client.get("k".to_owned()));
        answer.send(()).unwrap();
        let mut polls = 1;
        while !get.poll().unwrap().is_ready() {
            get.wait_for_wake();
            polls += 1;
        }
        assert!(polls <= FEW_POLLS, "{polls} polls for one get");
    }
    drop(answer);
    script.finish();
}

pub fn a_future_may_move_between_threads_between_polls<C: Client>() {
    let (answer, script) = answers_when_told();
    let mut client = connect::<C>(script.addr);
    let mut gets: Vec<_> = in_every_state(&mut client).collect();
    // Each thread polls them on its own tasks. The tasks are gone when the next thread starts.
    for _ in 0..3 {
        let poll_all = move || {
            let mut gets = gets;
            for get in &mut gets {
                Task::new(get).expect_not_ready();
            }
            gets
        };
        gets = thread::spawn(poll_all).join().unwrap();
    }
    answer_all(&answer, gets.len());
    for get in gets {
        let patience = super::patience();
        let finish = move || {
            super::PATIENCE.set(patience);
            Task::new(get).finish()
        };
        let value = thread::spawn(finish).join().unwrap().unwrap();
        assert_eq!(value.as_deref(), Some("v"));
    }
    drop(answer);
    script.finish();
}

/// A completed future may do anything when it is polled again, except return `NotReady` or resolve
/// a second time. All of ours panic, as most combinators do.
pub fn a_future_that_is_done_does_not_go_on<C: Client>() {
    fn panics_when_polled_again<F: Future>(future: F)
    where
        F::Error: std::fmt::Debug,
    {
        let mut task = Task::new(future);
        while let Ok(Async::NotReady) = task.poll() {
            task.wait_for_wake();
        }
        let again = panic::catch_unwind(AssertUnwindSafe(|| task.poll().map(|_| ())));
        let name = type_name::<F>();
        assert!(
            again.is_err(),
            "a completed future returned {again:?}: {name}"
        );
    }

    let script = Script::start(|mut peer| {
        for reply in [r#"{"Get":"v"}"#, r#""Set""#, r#""Remove""#] {
            peer.receive();
            peer.send(reply);
        }
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    panics_when_polled_again(client.get("k".to_owned()));
    panics_when_polled_again(client.set("k".to_owned(), "v".to_owned()));
    panics_when_polled_again(client.remove("k".to_owned()));
    drop(client);
    script.finish();

    // An error completes a future as well, at either step.
    let mut client = connect::<C>(Script::start(drop).addr);
    panics_when_polled_again(client.get("k".to_owned()));
    panics_when_polled_again(client.get("k".repeat(MAX_FRAME_LEN)));
    panics_when_polled_again(C::connect(NOBODY));

    let script = Script::start(|mut peer| peer.expect_end());
    panics_when_polled_again(C::connect(script.addr));
    script.finish();
}

/// An executor that hands its tasks to the test.
#[derive(Clone, Default)]
struct Tasks(Rc<RefCell<Vec<BoxedTask>>>);

type BoxedTask = Box<dyn Future<Item = (), Error = ()> + Send>;

impl Executor for Tasks {
    fn spawn(&mut self, task: BoxedTask) -> Result<(), SpawnError> {
        self.0.borrow_mut().push(task);
        Ok(())
    }
}

/// The driver wakes itself only if something has changed. A driver that wakes itself whenever it is
/// not ready would pass the other tests, and keep a core busy.
pub fn the_task_of_a_connection_sleeps_while_there_is_nothing_to_do<C: Client>() {
    let (answer, script) = answers_when_told();
    let tasks = Tasks::default();
    let mut enter = tokio_executor::enter().unwrap();
    let mut client = tokio_executor::with_default(&mut tasks.clone(), &mut enter, |_| {
        connect::<C>(script.addr)
    });
    let mut driver = Task::new(tasks.0.borrow_mut().pop().unwrap());
    driver.expect_not_ready();

    let sleeps = |driver: &mut Task<BoxedTask>| {
        let wakes = driver.wakes();
        for _ in 0..10 {
            driver.expect_not_ready();
        }
        assert_eq!(driver.wakes(), wakes, "the driver wakes itself");
    };
    let mut gets = Vec::new();
    for in_flight in 0..=IN_FLIGHT {
        if [0, 1, IN_FLIGHT].contains(&in_flight) {
            sleeps(&mut driver);
        }
        if in_flight < IN_FLIGHT {
            let mut get = Task::new(client.get("k".to_owned()));
            get.expect_not_ready();
            gets.push(get);
            driver.wait_for_wake();
            driver.expect_not_ready();
        }
    }
    drop((answer, driver, gets));
    script.finish();
}
