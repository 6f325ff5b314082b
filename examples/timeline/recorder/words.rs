//! The sentence of each step.

use super::code;
use super::log::{Event, Step};

/// Gives each event its sentence and its code.
pub fn tell(client: &str, events: Vec<(Event, Option<String>)>) -> Vec<Step> {
    let mut teller = Teller { has_reply: false };
    let step = |(event, says): (Event, Option<String>)| {
        teller.has_reply |= matches!(event, Event::Arrived { .. });
        Step {
            says: says.unwrap_or_else(|| teller.sentence(&event)),
            code: code::of(client, &event, teller.has_reply),
            event,
        }
    };
    events.into_iter().map(step).collect()
}

struct Teller {
    /// Whether a reply has arrived, so that the connection wakes requests for their replies.
    has_reply: bool,
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
    fn sentence(&self, event: &Event) -> String {
        let text = match event {
            Event::Made { task, .. } if task == "64 others" => {
                "the program makes 64 requests in one task".to_owned()
            }
            Event::Made { task, .. } => {
                format!("the program makes {}. It does nothing yet", the(task))
            }
            Event::Poll { task, n, .. } => {
                format!("the executor polls {} {}", the(task), times(*n))
            }
            Event::Polled { task, result, .. } => polled(task, result),
            Event::Wake {
                task, by, times, ..
            } => {
                let wake = wake(task, by, self.has_reply);
                match times {
                    1 => wake,
                    _ => format!("{wake} ({times} wake-ups)"),
                }
            }
            Event::Item { text, .. } => format!("the stream yields {text}"),
            Event::Sent { bytes, .. } => format!("{bytes} bytes leave the client"),
            Event::Served { bytes, .. } => format!("the server replies with {bytes} bytes"),
            Event::Arrived { .. } => "the reply arrives at the client's socket".to_owned(),
            Event::Parked { .. } => "no task is woken, so the executor's thread sleeps".to_owned(),
            Event::Dropped { task } => format!("the program drops {}", the(task)),
            Event::Closed { by } => format!("the {by} closes the connection"),
            Event::End => "the recording ends".to_owned(),
        };
        sentence(&text) + "."
    }
}

fn polled(task: &str, result: &str) -> String {
    let the = the(task);
    if let Some(panic) = result.strip_prefix("panic: ") {
        return format!("the poll of {the} panics: {panic}");
    }
    match (task, result) {
        ("connection", "NotReady") => {
            "the connection has done all that it can do now, and is not ready".to_owned()
        }
        (_, "NotReady") => format!("{the} is not ready"),
        (_, result) if result.starts_with("Err(") => format!("{the} fails: {result}"),
        (_, result) => format!("{the} is complete: {result}"),
    }
}

fn wake(task: &str, by: &str, has_reply: bool) -> String {
    let the_task = the(task);
    match (task, by) {
        ("connection", "reactor") => {
            "the reactor's thread wakes the connection: the socket can be read".to_owned()
        }
        (_, "timer") => format!("the timer's thread wakes {the_task}: the time limit is over"),
        (_, "program") => format!("the program wakes {the_task}"),
        (_, "another thread") => format!("another thread wakes {the_task}"),
        ("connection", by) => {
            format!(
                "{} wakes the connection: there is a request to send",
                the(by)
            )
        }
        (_, "connection") if has_reply => {
            format!("the connection wakes {the_task}: its reply has come")
        }
        (_, "connection") => {
            format!("the connection wakes {the_task}: there is room in the queue")
        }
        (task, by) if task == by => format!("{the_task} wakes itself"),
        (_, by) => format!("{} wakes {the_task}", the(by)),
    }
}
