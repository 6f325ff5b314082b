//! An executor on one thread that records its polls, and who wakes its tasks.

use std::any::Any;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::panic::{self, AssertUnwindSafe};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, Once};
use std::thread;

use futures::executor::{self, Notify, NotifyHandle, Spawn};
use futures::{Async, Future, Poll};
use tokio_executor::SpawnError;

use super::log::{Event, Log};
use super::net::PATIENCE;

/// A future of a recording. Its item and its error are texts.
pub type Recorded = Box<dyn Future<Item = String, Error = String> + Send>;

/// The name of a future's state, if it has one to show.
pub type StateCell = Arc<Mutex<Option<String>>>;

/// The name of the task that connects, before the recording.
pub const CONNECT: &str = "connect";

thread_local! {
    /// The task that is being polled on this thread.
    static POLLED: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// A future that shows its state after each poll.
pub struct Shown<F> {
    pub future: F,
    pub state: fn(&F) -> Option<String>,
    pub cell: StateCell,
}

impl<F: Future> Future for Shown<F> {
    type Item = F::Item;
    type Error = F::Error;

    fn poll(&mut self) -> Poll<F::Item, F::Error> {
        let polled = self.future.poll();
        *lock(&self.cell) = (self.state)(&self.future);
        polled
    }
}

/// Hides the reports of panics in polls from now on. The recording has them.
pub fn hide_panics_of_polls() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let report = panic::take_hook();
        panic::set_hook(Box::new(move |panic| {
            if POLLED.with_borrow(Option::is_none) {
                report(panic);
            }
        }));
    });
}

struct Task {
    name: String,
    /// `None` when it is complete or dropped.
    future: Option<Spawn<Recorded>>,
    state: StateCell,
    polls: usize,
}

/// The tasks, and the queue of those that are woken.
pub struct Executor {
    tasks: Vec<Task>,
    queue: Arc<Queue>,
    log: Log,
}

/// The part of the executor that other threads use.
pub struct Queue {
    state: Mutex<State>,
    is_woken: Condvar,
    log: Log,
}

#[derive(Default)]
struct State {
    names: Vec<String>,
    woken: VecDeque<usize>,
    /// Tasks that others have spawned, until the executor takes them.
    spawned: Vec<Recorded>,
}

/// Locks data of a recording.
pub fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex
        .lock()
        .expect("no thread panics while it has the lock")
}

fn thread_name() -> String {
    thread::current().name().unwrap_or("a thread").to_owned()
}

impl Notify for Queue {
    fn notify(&self, id: usize) {
        let mut state = lock(&self.state);
        let thread = thread_name();
        let task = state.names[id].clone();
        // The socket may wake the task that has connected it once more. That task is complete.
        if task == CONNECT && self.log.is_on() {
            return;
        }
        let by = POLLED.with_borrow(Clone::clone);
        self.log.add(Event::Wake {
            task,
            by: by.unwrap_or_else(|| match &*thread {
                "main" => "program".to_owned(),
                other => other.to_owned(),
            }),
            thread,
            times: 1,
        });
        if !state.woken.contains(&id) {
            state.woken.push_back(id);
        }
        self.is_woken.notify_all();
    }
}

/// The default executor of tokio 0.1 while a client is polled. So the client spawns the task of its
/// connection here.
#[derive(Clone)]
pub struct Spawner(Arc<Queue>);

impl tokio_executor::Executor for Spawner {
    fn spawn(
        &mut self,
        future: Box<dyn Future<Item = (), Error = ()> + Send>,
    ) -> Result<(), SpawnError> {
        let future = future
            .map(|()| "()".to_owned())
            .map_err(|()| "()".to_owned());
        lock(&self.0.state).spawned.push(Box::new(future));
        Ok(())
    }
}

impl Executor {
    pub fn new(log: Log) -> Executor {
        let queue = Queue {
            state: Mutex::default(),
            is_woken: Condvar::new(),
            log: log.clone(),
        };
        Executor {
            tasks: Vec::new(),
            queue: Arc::new(queue),
            log,
        }
    }

    pub fn spawner(&self) -> Spawner {
        Spawner(Arc::clone(&self.queue))
    }

    /// Adds a task, which is polled in the next [`run`](Executor::run).
    pub fn spawn(&mut self, name: &str, future: Recorded, state: StateCell) {
        let mut queue = lock(&self.queue.state);
        queue.names.push(name.to_owned());
        queue.woken.push_back(self.tasks.len());
        drop(queue);
        self.tasks.push(Task {
            name: name.to_owned(),
            future: Some(executor::spawn(future)),
            state,
            polls: 0,
        });
    }

    /// Polls the tasks that are woken, one after the other, until none is.
    pub fn run(&mut self) {
        while let Some(id) = self.next() {
            self.poll(id);
        }
        if self.tasks.iter().any(|task| task.future.is_some()) {
            self.log.add(Event::Parked {
                thread: thread_name(),
            });
        }
    }

    /// Polls a woken task, and then no other.
    pub fn run_one(&mut self) {
        if let Some(id) = self.next() {
            self.poll(id);
        }
    }

    fn next(&mut self) -> Option<usize> {
        let spawned = std::mem::take(&mut lock(&self.queue.state).spawned);
        for future in spawned {
            self.spawn("connection", future, StateCell::default());
        }
        lock(&self.queue.state).woken.pop_front()
    }

    fn poll(&mut self, id: usize) {
        let task = &mut self.tasks[id];
        let Some(future) = &mut task.future else {
            return;
        };
        task.polls += 1;
        self.log.add(Event::Poll {
            task: task.name.clone(),
            n: task.polls,
            thread: thread_name(),
            state: lock(&task.state).clone(),
        });
        POLLED.set(Some(task.name.clone()));
        let notify = NotifyHandle::from(Arc::clone(&self.queue));
        let poll = || future.poll_future_notify(&notify, id);
        let polled = panic::catch_unwind(AssertUnwindSafe(poll));
        POLLED.set(None);
        let (result, is_done) = match polled {
            Ok(Ok(Async::NotReady)) => ("NotReady".to_owned(), false),
            Ok(Ok(Async::Ready(item))) => (format!("Ready({item})"), true),
            Ok(Err(error)) => (format!("Err({error})"), true),
            Err(panic) => (format!("panic: {}", message(&*panic)), true),
        };
        self.log.add(Event::Polled {
            task: task.name.clone(),
            n: task.polls,
            result,
            state: lock(&task.state).clone().filter(|_| !is_done),
        });
        if is_done {
            task.future = None;
        }
    }

    /// Waits until a task is woken.
    ///
    /// # Panics
    ///
    /// If none is woken for a long time.
    pub fn wait_for_wake(&self) {
        self.wait_while(|state| state.woken.is_empty() && state.spawned.is_empty());
    }

    /// Waits until the task `name` is woken.
    ///
    /// # Panics
    ///
    /// If it is not woken for a long time.
    pub fn wait_for_wake_of(&self, name: &str) {
        let is_it = |state: &State, id: &usize| state.names[*id] == name;
        self.wait_while(|state| !state.woken.iter().any(|id| is_it(state, id)));
    }

    fn wait_while(&self, is_idle: impl Fn(&State) -> bool) {
        let state = lock(&self.queue.state);
        let is_idle = |state: &mut State| is_idle(state);
        let waited = self
            .queue
            .is_woken
            .wait_timeout_while(state, PATIENCE, is_idle);
        let waited = waited.expect("no thread panics while it has the lock");
        assert!(!waited.1.timed_out(), "no task was woken");
    }

    /// Drops the future of a task, which is not complete.
    pub fn drop_task(&mut self, name: &str) {
        let task = self.tasks.iter_mut().rfind(|task| task.name == name);
        let task = task.expect("the script drops a task that it has made");
        self.log.add(Event::Dropped {
            task: task.name.clone(),
        });
        task.future = None;
    }

    /// Moves the future of a task to another task.
    pub fn move_task(&mut self, from: &str, to: &str) {
        let task = self.tasks.iter_mut().rfind(|task| task.name == from);
        let task = task.expect("the script moves a task that it has made");
        let future = task.future.take().expect("the future is not complete");
        let state = Arc::clone(&task.state);
        self.spawn(to, future.into_inner(), state);
    }

    /// Forgets the polls so far. The recording begins here.
    pub fn begin(&mut self) {
        for task in &mut self.tasks {
            task.polls = 0;
        }
        self.log.begin();
    }
}

/// Returns the message of a panic.
fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message")
}
