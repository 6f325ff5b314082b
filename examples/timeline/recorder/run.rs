//! One run: the executor, the wire, and the methods that a script is made of.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures::future::{self, Future};
use futures::stream::Stream;
use futures::task::{self, Task};
use futures::{Async, Poll};
use kvs::KvsError;
use kvs::client::Client;
use kvs::client::blocking;
use tokio_timer::Timeout;

use super::clients::{Get, Scan, Watched, watched_scan};
use super::executor::{CONNECT, Executor, Recorded, StateCell, hide_panics_of_polls, lock};
use super::log::{Event, Lane, LaneKind, Log, Recording};
use super::net::{self, PATIENCE, TestServer};
use super::proxy::{Listening, Proxy};
use super::threads::Threads;
use super::words;

/// The peer of the client.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Peer {
    /// A server with the value "v" under the key "k".
    Server,
    /// The script, which writes the server's bytes.
    Script,
}

/// A run, for its script.
pub struct Run {
    executor: Executor,
    pub wire: Proxy,
    log: Log,
    lanes: Vec<Lane>,
    size: usize,
    ended: mpsc::Sender<Ended>,
}

/// The end of a script.
struct Ended {
    tasks: Vec<Lane>,
    size: usize,
    /// Whether a poll never returns.
    hangs: bool,
}

/// Records `script` with a client of the type `C`, on a thread with the name `main`.
///
/// If a poll of the script's request does not return, leaves the thread behind.
pub fn record<C: Watched>(
    peer: Peer,
    script: impl FnOnce(&mut Run, &mut C) + Send + 'static,
) -> Recording {
    hide_panics_of_polls();
    let log = Log::default();
    let (sender, recorded) = mpsc::channel();
    let script_log = log.clone();
    let run = move || record_here(peer, &script_log, sender, script);
    let thread = thread::Builder::new().name("main".to_owned()).spawn(run);
    let thread = thread.expect("the system has room for a thread");
    let Ended {
        mut tasks,
        size,
        hangs,
    } = recorded
        .recv_timeout(2 * PATIENCE)
        .unwrap_or_else(|_| panic!("the script of {} has failed, or does not end", C::NAME));
    if !hangs {
        thread.join().expect("the script has ended");
    }
    tasks.push(Lane {
        name: "connection".to_owned(),
        kind: LaneKind::Connection,
    });
    Recording {
        client: C::NAME.to_owned(),
        size,
        steps: words::tell(C::NAME, log.take()),
        tasks,
    }
}

fn record_here<C: Watched>(
    peer: Peer,
    log: &Log,
    ended: mpsc::Sender<Ended>,
    script: impl FnOnce(&mut Run, &mut C),
) {
    let server = (peer == Peer::Server).then(start_server);
    let listening = Listening::new(server.as_ref().map(|(_, server)| server.addr));
    let mut executor = Executor::new(log.clone());
    let mut spawner = executor.spawner();
    let threads = Threads::get().expect("the system has room for two threads");
    let mut enter = tokio_executor::enter().expect("no executor runs on this thread");
    tokio_executor::with_default(&mut spawner, &mut enter, |enter| {
        tokio_timer::clock::with_default(&threads.clock, enter, |enter| {
            tokio_reactor::with_default(&threads.reactor, enter, |enter| {
                tokio_timer::timer::with_default(&threads.timer, enter, |_| {
                    let mut client = connect::<C>(&mut executor, &listening);
                    let wire = listening.accept(log.clone());
                    executor.begin();
                    let mut run = Run {
                        executor,
                        wire,
                        log: log.clone(),
                        lanes: Vec::new(),
                        size: 0,
                        ended,
                    };
                    script(&mut run, &mut client);
                });
            });
        });
    });
}

fn start_server() -> (tempfile::TempDir, TestServer) {
    let (dir, server) = net::serve();
    let client = blocking::KvsClient::connect(server.addr);
    let set = client.and_then(|mut client| client.set("k".to_owned(), "v".to_owned()));
    set.expect("the server stores a value");
    (dir, server)
}

/// Connects, without a recording.
fn connect<C: Watched>(executor: &mut Executor, listening: &Listening) -> C {
    let (sender, connected) = mpsc::channel();
    let connect = C::open(listening.addr()).then(move |client| {
        let _ = sender.send(client);
        Ok(String::new())
    });
    executor.spawn(CONNECT, Box::new(connect), StateCell::default());
    loop {
        executor.run();
        match connected.try_recv() {
            Ok(client) => return client.expect("the proxy listens"),
            Err(_) => executor.wait_for_wake(),
        }
    }
}

/// A request that the program has made, before the executor has it.
pub struct Made {
    pub future: Get,
    state: StateCell,
}

impl Run {
    /// Makes a `get` in a task of its own.
    pub fn make<C: Watched>(&mut self, client: &mut C, task: &str, key: &str) -> Made {
        self.made(task);
        let state = StateCell::default();
        let (future, size) = client.watched_get(key, &state);
        self.size = size;
        Made { future, state }
    }

    /// Records that a task has its future, and gives it a lane.
    fn made(&mut self, task: &str) {
        self.log.add(Event::Made {
            task: task.to_owned(),
            thread: "main".to_owned(),
        });
        self.lanes.push(Lane {
            name: task.to_owned(),
            kind: LaneKind::Request,
        });
    }

    /// Gives a request to the executor.
    pub fn spawn(&mut self, task: &str, made: Made) {
        let future = text(made.future.map(|value| format!("{value:?}")));
        self.executor.spawn(task, future, made.state);
    }

    /// Gives a request with a time limit to the executor.
    pub fn spawn_with_limit(&mut self, task: &str, made: Made, limit: Duration) {
        let limited = Timeout::new(made.future, limit).then(|result| match result {
            Ok(value) => Ok(format!("{value:?}")),
            Err(error) if error.is_elapsed() => Err("the time limit is over".to_owned()),
            Err(error) => Err(error.to_string()),
        });
        self.executor.spawn(task, Box::new(limited), made.state);
    }

    /// Makes a `get` and gives it to the executor.
    pub fn get<C: Watched>(&mut self, client: &mut C, task: &str, key: &str) {
        let made = self.make(client, task, key);
        self.spawn(task, made);
    }

    /// Makes many `get`s, which one task joins.
    pub fn many<C: Client>(&mut self, client: &mut C, task: &str, count: usize) {
        self.made(task);
        let gets: Vec<_> = (0..count).map(|_| client.get("k".to_owned())).collect();
        let joined = future::join_all(gets).map(|values| format!("{} values", values.len()));
        self.executor
            .spawn(task, text(joined), StateCell::default());
    }

    /// Makes a reader of all pairs. It takes a pair with each permit.
    pub fn scan<C: Client>(&mut self, client: &mut C, task: &str) -> Permits {
        self.made(task);
        let (scan, size) = watched_scan(client);
        self.size = size;
        let permits = Permits::default();
        let reader = Reader {
            scan,
            permits: permits.clone(),
            task: task.to_owned(),
            log: self.log.clone(),
        };
        self.executor
            .spawn(task, Box::new(reader), StateCell::default());
        permits
    }

    /// Polls the tasks that are woken until none is.
    pub fn run(&mut self) {
        self.executor.run();
    }

    /// Polls the next woken task, and then no other.
    pub fn run_one(&mut self) {
        self.executor.run_one();
    }

    /// Waits until a task is woken, and then polls until none is.
    pub fn wait(&mut self) {
        self.executor.wait_for_wake();
        self.run();
    }

    /// Waits until the task of the connection is woken, although other tasks may be woken, too.
    pub fn wait_for_connection(&mut self) {
        self.executor.wait_for_wake_of("connection");
    }

    /// Waits until a task is woken.
    pub fn wait_for_wake(&mut self) {
        self.executor.wait_for_wake();
    }

    /// Drops a future that is in the executor.
    pub fn drop_task(&mut self, task: &str) {
        self.executor.drop_task(task);
    }

    /// Drops a future that is not in the executor.
    pub fn drop_made(&mut self, task: &str, made: Made) {
        self.log.add(Event::Dropped {
            task: task.to_owned(),
        });
        drop(made);
    }

    /// Moves the future of a task to a new task.
    pub fn move_task(&mut self, from: &str, to: &str) {
        self.made(to);
        self.executor.move_task(from, to);
    }

    /// Advances the clock of the time limits.
    pub fn advance(&mut self, by: Duration) {
        let threads = Threads::get().expect("the threads have started");
        threads.advance(by);
    }

    /// Gives the last step another sentence than the usual one.
    pub fn say(&mut self, sentence: &str) {
        self.log.say(sentence);
    }

    /// Ends the script with a sentence.
    pub fn end(&mut self, sentence: &str) {
        self.end_of(false)(sentence);
    }

    /// Polls the next woken task, whose poll wakes `woken` and does not return. Ends the script
    /// with a sentence.
    pub fn run_one_that_hangs(&mut self, woken: &str, sentence: &'static str) {
        let (log, end) = (self.log.clone(), self.end_of(true));
        let woken = woken.to_owned();
        thread::spawn(move || {
            let is_it = |event: &Event| matches!(event, Event::Wake { task, .. } if *task == woken);
            while !log.has(is_it) {
                thread::yield_now();
            }
            end(sentence);
        });
        self.run_one();
        panic!("the poll has returned");
    }

    fn end_of(&self, hangs: bool) -> impl FnOnce(&str) + Send + use<> {
        let (log, ended) = (self.log.clone(), self.ended.clone());
        let (tasks, size) = (self.lanes.clone(), self.size);
        move |sentence| {
            log.end(sentence);
            let ended = ended.send(Ended { tasks, size, hangs });
            ended.expect("the recorder waits for the end");
        }
    }
}

fn text<F>(future: F) -> Recorded
where
    F: Future<Item = String, Error = KvsError> + Send + 'static,
{
    Box::new(future.map_err(|error| describe(&error)))
}

/// Returns the text of an error without the address, which differs between runs.
fn describe(error: &KvsError) -> String {
    match error {
        KvsError::Connection { cause, .. } => format!("the connection broke: {cause}"),
        error => error.to_string(),
    }
}

/// The pairs that a reader may take.
#[derive(Clone, Default)]
pub struct Permits(std::sync::Arc<std::sync::Mutex<(usize, Option<Task>)>>);

impl Permits {
    /// Lets the reader take one more pair.
    pub fn give(&self) {
        let mut permits = lock(&self.0);
        permits.0 += 1;
        let task = permits.1.take();
        drop(permits);
        if let Some(task) = task {
            task.notify();
        }
    }

    fn poll(&self) -> Async<()> {
        let mut permits = lock(&self.0);
        if permits.0 == 0 {
            permits.1 = Some(task::current());
            return Async::NotReady;
        }
        permits.0 -= 1;
        Async::Ready(())
    }

    fn take_back(&self) {
        lock(&self.0).0 += 1;
    }
}

/// A slow reader: it asks for a pair only when it has a permit.
struct Reader {
    scan: Scan,
    permits: Permits,
    task: String,
    log: Log,
}

impl Future for Reader {
    type Item = String;
    type Error = String;

    fn poll(&mut self) -> Poll<String, String> {
        while self.permits.poll().is_ready() {
            match self.scan.poll() {
                Ok(Async::Ready(Some((key, value)))) => self.log.add(Event::Item {
                    task: self.task.clone(),
                    text: format!("({key:?}, {value:?})"),
                }),
                Ok(Async::Ready(None)) => return Ok(Async::Ready("the end".to_owned())),
                Ok(Async::NotReady) => {
                    self.permits.take_back();
                    return Ok(Async::NotReady);
                }
                Err(error) => self.log.add(Event::Item {
                    task: self.task.clone(),
                    text: format!("an error: {}", describe(&error)),
                }),
            }
        }
        Ok(Async::NotReady)
    }
}
