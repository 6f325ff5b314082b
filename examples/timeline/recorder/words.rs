//! The sentence of each step.

use std::collections::BTreeSet;

use super::broken::SendsEagerly;
use super::clients::Watched;
use super::code;
use super::log::{Event, Step};

/// The latest news that the connection has had from the server. It decides why the connection wakes
/// a request: with none, there is room in the queue.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum News {
    None,
    Reply,
    Close,
}

/// Gives each event its sentence and its code.
pub fn tell(client: &str, events: Vec<(Event, Option<String>)>) -> Vec<Step> {
    let mut teller = Teller {
        is_lazy: client != SendsEagerly::NAME,
        news: News::None,
        dropped: BTreeSet::new(),
    };
    let step = |(event, says): (Event, Option<String>)| {
        teller.learn(&event);
        Step {
            says: says.unwrap_or_else(|| teller.sentence(&event)),
            code: code::of(client, &event, teller.news),
            event,
        }
    };
    events.into_iter().map(step).collect()
}

/// The earlier events on which a sentence depends.
struct Teller {
    /// Whether a request does nothing before its first poll.
    is_lazy: bool,
    news: News,
    dropped: BTreeSet<String>,
}

/// Returns the task with its article, as in "the second request".
fn the(task: &str) -> String {
    match task {
        "request 1" => "the first request".to_owned(),
        "request 2" => "the second request".to_owned(),
        "request 3" => "the third request".to_owned(),
        "reader 1" => "the first reader".to_owned(),
        "reader 2" => "the second reader".to_owned(),
        "task 1" => "the first task".to_owned(),
        "task 2" => "the second task".to_owned(),
        "64 others" => "the task of the 64 requests".to_owned(),
        task => format!("the {task}"),
    }
}

/// Returns the sentence with a capital letter.
fn sentence(text: &str) -> String {
    let mut chars = text.chars();
    let first = chars.next().map(|c| c.to_uppercase().to_string());
    first.unwrap_or_default() + chars.as_str()
}

fn times(n: usize) -> String {
    match n {
        1 => "for the first time".to_owned(),
        2 => "for the second time".to_owned(),
        3 => "for the third time".to_owned(),
        n => format!("again (poll {n})"),
    }
}

impl Teller {
    fn learn(&mut self, event: &Event) {
        match event {
            Event::Arrived { .. } => self.news = News::Reply,
            Event::Closed { .. } => self.news = News::Close,
            Event::Dropped { task } => {
                self.dropped.insert(task.clone());
            }
            _ => {}
        }
    }

    fn sentence(&self, event: &Event) -> String {
        let text = match event {
            Event::Made { task, .. } if task == "64 others" => {
                "the program makes 64 requests in one task".to_owned()
            }
            Event::Made { task, .. } if self.is_lazy => {
                format!("the program makes {}. It does nothing yet", the(task))
            }
            Event::Made { task, .. } => format!("the program makes {}", the(task)),
            Event::Poll { task, n, .. } => {
                format!("the executor polls {} {}", the(task), times(*n))
            }
            Event::Polled { task, result, .. } => self.polled(task, result),
            Event::Wake {
                task, by, times, ..
            } => {
                let wake = self.wake(task, by);
                match times {
                    1 => wake,
                    _ => format!("{wake} ({times} wake-ups)"),
                }
            }
            Event::Item { text, .. } => format!("the stream yields {text}"),
            Event::Sent { bytes, .. } => format!("{bytes} bytes of the client reach the server"),
            Event::Served { bytes, .. } => format!("the server replies with {bytes} bytes"),
            Event::Arrived { .. } => "the reply arrives at the client's socket".to_owned(),
            Event::Parked { .. } => "no task is woken, so the executor's thread sleeps".to_owned(),
            Event::Dropped { task } => format!("the program drops {}", the(task)),
            Event::Closed { by } => format!("the {by} closes the connection"),
            Event::End => "the recording ends".to_owned(),
        };
        sentence(&text) + "."
    }

    fn polled(&self, task: &str, result: &str) -> String {
        let the = the(task);
        if let Some(panic) = result.strip_prefix("panic: ") {
            return format!("the poll of {the} panics: {panic}");
        }
        match (task, result) {
            ("connection", "NotReady") => {
                "the connection has done all that it can do now, and is not ready".to_owned()
            }
            ("connection", _) if self.news == News::Close => {
                "the connection has failed the requests that wait for a reply, and is complete"
                    .to_owned()
            }
            (_, "NotReady") => format!("{the} is not ready"),
            (_, result) if result.starts_with("Err(") => format!("{the} fails: {result}"),
            (_, result) => format!("{the} is complete: {result}"),
        }
    }

    fn wake(&self, task: &str, by: &str) -> String {
        let woken = the(task);
        match (task, by) {
            ("connection", "reactor") => {
                "the reactor's thread wakes the connection: the socket can be read".to_owned()
            }
            (_, "timer") => format!("the timer's thread wakes {woken}: the time limit is over"),
            (_, "program") => format!("the program lets {woken} take one more pair, and wakes it"),
            (_, "another thread") => format!("another thread wakes {woken}"),
            ("connection", by) => {
                let by = the(by);
                format!("{by} wakes the connection: there is a request to send")
            }
            (task, "connection") => {
                let reason = match self.news {
                    News::None if self.dropped.contains(task) => {
                        "there is room in the queue. But the request was dropped"
                    }
                    News::None => "there is room in the queue",
                    News::Reply if task == "64 others" => "their replies have come",
                    News::Reply => "the reply has come",
                    News::Close => "its reply cannot come any more",
                };
                format!("the connection wakes {woken}: {reason}")
            }
            (task, by) if task == by => format!("{woken} wakes itself"),
            (_, by) => format!("{} wakes {woken}", the(by)),
        }
    }
}
