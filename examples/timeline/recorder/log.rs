//! What a recording is made of.

use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use serde::{Deserialize, Serialize};

/// The recordings of one program, each with another client.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scenario {
    pub scenario: String,
    pub title: String,
    pub says: String,
    pub recordings: Vec<Recording>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    pub client: String,
    /// The size of the request's future, in bytes.
    pub size: usize,
    /// The tasks, from left to right.
    pub tasks: Vec<Lane>,
    pub steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    pub name: String,
    pub kind: LaneKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LaneKind {
    Request,
    Connection,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    #[serde(flatten)]
    pub event: Event,
    pub says: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Code>,
}

/// Lines of a file: their number, and the text of the first one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Code {
    pub file: String,
    pub line: String,
    pub lines: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Event {
    /// The program has made a future, or has moved one to this task.
    Made { task: String, thread: String },
    /// Poll number `n` of a task begins.
    Poll {
        task: String,
        n: usize,
        thread: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<String>,
    },
    /// Poll number `n` has returned.
    Polled {
        task: String,
        n: usize,
        result: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        state: Option<String>,
    },
    /// A task was woken by another task that is being polled, by the reactor, by the timer or by
    /// the program.
    Wake {
        task: String,
        by: String,
        thread: String,
        /// How often, one after the other.
        #[serde(default = "once", skip_serializing_if = "is_once")]
        times: usize,
    },
    /// A stream has yielded an item.
    Item { task: String, text: String },
    /// Bytes of the client have arrived at the proxy. They left the client in the last poll of its
    /// connection.
    Sent {
        task: String,
        bytes: usize,
        text: String,
    },
    /// The server has sent bytes.
    Served { bytes: usize, text: String },
    /// The bytes of the server have arrived at the client.
    Arrived { bytes: usize, text: String },
    /// The executor has no task to poll.
    Parked { thread: String },
    /// A future was dropped before it was complete.
    Dropped { task: String },
    /// One side has closed the connection.
    Closed { by: String },
    /// The end of the recording.
    End,
}

fn once() -> usize {
    1
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_once(times: &usize) -> bool {
    *times == 1
}

impl Event {
    /// Returns the task that the event belongs to. The order of the events of one task is the same
    /// in each run.
    pub fn task(&self) -> &str {
        match self {
            Event::Made { task, .. }
            | Event::Poll { task, .. }
            | Event::Polled { task, .. }
            | Event::Wake { task, .. }
            | Event::Item { task, .. }
            | Event::Dropped { task } => task,
            Event::Sent { .. }
            | Event::Served { .. }
            | Event::Arrived { .. }
            | Event::Closed { .. } => "wire",
            Event::Parked { .. } | Event::End => "executor",
        }
    }
}

/// The events of a run, in their order. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct Log(Arc<Mutex<Events>>);

#[derive(Debug, Default)]
struct Events {
    events: Vec<(Event, Option<String>)>,
    /// The number of the last event of the script's thread.
    last_of_script: usize,
    is_on: bool,
}

impl Log {
    fn lock(&self) -> MutexGuard<'_, Events> {
        self.0
            .lock()
            .expect("no thread panics while it has the log")
    }

    /// Returns whether the recording has begun and has not ended.
    pub fn is_on(&self) -> bool {
        self.lock().is_on
    }

    /// Begins the recording.
    pub fn begin(&self) {
        self.lock().is_on = true;
    }

    /// Adds an event.
    pub fn add(&self, event: Event) {
        let mut log = self.lock();
        if !log.is_on {
            return;
        }
        // The same wake-up again is counted.
        if let (
            Event::Wake { task, by, .. },
            Some((
                Event::Wake {
                    task: same_task,
                    by: same_by,
                    times,
                    ..
                },
                _,
            )),
        ) = (&event, log.events.last_mut())
            && (task, by) == (same_task, same_by)
        {
            *times += 1;
            return;
        }
        if thread::current().name() == Some("main") {
            log.last_of_script = log.events.len();
        }
        log.events.push((event, None));
    }

    /// Gives the last event of the script's thread another sentence than the usual one.
    pub fn say(&self, sentence: &str) {
        let mut log = self.lock();
        let last = log.last_of_script;
        if let Some((_, says)) = log.events.get_mut(last) {
            *says = Some(sentence.to_owned());
        }
    }

    /// Adds the end, with a sentence, and ends the recording.
    pub fn end(&self, sentence: &str) {
        let mut log = self.lock();
        log.events.push((Event::End, Some(sentence.to_owned())));
        log.is_on = false;
    }

    /// Returns whether there is such an event.
    pub fn has(&self, is_it: impl Fn(&Event) -> bool) -> bool {
        self.lock().events.iter().any(|(event, _)| is_it(event))
    }

    /// Takes the events, with the sentences that are not the usual ones.
    pub fn take(&self) -> Vec<(Event, Option<String>)> {
        std::mem::take(&mut self.lock().events)
    }
}
