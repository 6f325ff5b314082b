//! The sentence of each step, and the lines of code that it happened in.

use super::log::{Code, Event, Step};

/// Gives each event its sentence and its code.
pub fn tell(client: &str, events: Vec<(Event, Option<String>)>) -> Vec<Step> {
    let mut teller = Teller {
        client,
        has_reply: false,
    };
    let step = |(event, says): (Event, Option<String>)| {
        teller.has_reply |= matches!(event, Event::Arrived { .. });
        Step {
            says: says.unwrap_or_else(|| teller.sentence(&event)),
            code: teller.code(&event),
            event,
        }
    };
    events.into_iter().map(step).collect()
}

struct Teller<'a> {
    client: &'a str,
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

impl Teller<'_> {
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

    fn code(&self, event: &Event) -> Option<Code> {
        match event {
            Event::Made { task, .. } if task.starts_with("reader") => scan_code(self.client),
            Event::Made { .. } => get_code(self.client, 0),
            Event::Poll { task, state, .. } => {
                let is_second = state.as_deref() == Some("WaitingForReply");
                match &**task {
                    "connection" => lines("src/client/driver.rs", TURN),
                    task if task.starts_with("reader") => scan_code(self.client),
                    _ => get_code(self.client, usize::from(is_second) + 1),
                }
            }
            Event::Wake { task, by, .. } => woken(task, by, self.has_reply),
            Event::Sent { .. } => lines("src/client/driver.rs", SEND),
            Event::Arrived { .. } => lines("src/client/driver.rs", RECEIVE),
            Event::Dropped { .. } => lines("src/client/queue.rs", ANSWER),
            _ => None,
        }
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

/// The first line of an excerpt, and the number of its lines.
type Excerpt = (&'static str, usize);

const TURN: Excerpt = ("    fn turn(&mut self) -> Poll<(), ConnectionError> {", 9);
const SEND: Excerpt = (
    "            self.unsent = Some(protocol::prefix(&call.body)?);",
    5,
);
const RECEIVE: Excerpt = (
    "        while let Async::Ready(reply) = self.next_reply()? {",
    2,
);
const HAND_OUT: Excerpt = (
    "            if let Some((_, waiting)) = self.in_flight.pop_front() {",
    3,
);
const ANSWER: Excerpt = (
    "pub(super) fn answer<T>(reply: oneshot::Sender<T>, value: T) {",
    3,
);
const ENTER: Excerpt = ("            state.calls.push_back(call);", 6);
const ADMIT: Excerpt = ("        let admitted = state.admit();", 4);

fn lines(file: &str, (line, lines): Excerpt) -> Option<Code> {
    Some(Code {
        file: file.to_owned(),
        line: line.to_owned(),
        lines,
    })
}

/// A client, its file, and the places where it makes its future, and polls it in the first and in
/// the second state.
type Places = (&'static str, &'static str, [Excerpt; 3]);

const GET: Excerpt = ("    pub fn get(", 6);
const GET_BY_HAND: Excerpt = (
    "    pub fn get(&mut self, key: String) -> ClientGetFuture {",
    3,
);
const CHAIN: Excerpt = (
    "        let (sent, reply) = self.connection.request(request);",
    2,
);
const BUGS: &str = "examples/timeline/recorder/bugs.rs";
const HARNESS: &str = "tests/harness/broken.rs";
const MAKE: Excerpt = (
    "    fn watched_get(&mut self, key: &str, cell: &StateCell) -> (Get, usize) {",
    5,
);
const EXCHANGE: Excerpt = (
    "        let (sent, reply) = self.connection.request(&self.fault.request(request));",
    2,
);

const PLACES: &[Places] = &[
    ("boxed", "variants/boxed.rs", [GET, CHAIN, CHAIN]),
    (
        "explicit",
        "variants/explicit.rs",
        [("    pub fn get(", 10), CHAIN, CHAIN],
    ),
    ("anon", "variants/anon.rs", [GET, CHAIN, CHAIN]),
    (
        "manual",
        "variants/manual.rs",
        [
            GET_BY_HAND,
            (
                "                Exchange::WaitingForRoom { mut sent, reply } => match sent.poll()? {",
                7,
            ),
            (
                "                Exchange::WaitingForReply { mut reply } => match reply.poll()? {",
                7,
            ),
        ],
    ),
    (
        "pinned",
        "variants/pinned.rs",
        [
            GET_BY_HAND,
            (
                "                ExchangeProjection::WaitingForRoom { sent, .. } => {",
                8,
            ),
            (
                "                ExchangeProjection::WaitingForReply { reply } => {",
                5,
            ),
        ],
    ),
    (
        "awaited",
        "variants/awaited.rs",
        [
            (
                "    pub async fn get(&mut self, key: String) -> Result<Option<String>, KvsError> {",
                4,
            ),
            (
                "        let (sent, reply) = self.connection.request(request);",
                3,
            ),
            (
                "        let (sent, reply) = self.connection.request(request);",
                3,
            ),
        ],
    ),
    (
        "stops between two states",
        BUGS,
        [
            MAKE,
            ("            Async::Ready(()) => {", 4),
            (
                "        StopsBetweenTwoStates::WaitingForReply { mut reply } => match reply.poll()? {",
                7,
            ),
        ],
    ),
    (
        "does not put the state back",
        BUGS,
        [
            MAKE,
            (
                "        LosesItsState::WaitingForReply { mut reply } => {",
                3,
            ),
            (
                "        LosesItsState::WaitingForReply { mut reply } => {",
                3,
            ),
        ],
    ),
    (
        "polls a finished future",
        BUGS,
        [MAKE, POLLS_AGAIN, POLLS_AGAIN],
    ),
    ("waits in poll", BUGS, [MAKE, WAITS, WAITS]),
    (
        "loses an error",
        BUGS,
        [
            MAKE,
            (
                "            Ok(Async::Ready(())) | Err(_) => *this = LosesAnError::WaitingForReply { reply },",
                1,
            ),
            (
                "        LosesAnError::WaitingForReply { mut reply } => match reply.poll()? {",
                7,
            ),
        ],
    ),
    (
        "wakes the wrong task",
        BUGS,
        [
            MAKE,
            ("                    Async::Ready(()) => {", 5),
            (
                "                WakesTheFirstTask::WaitingForReply { mut reply, waker } => {",
                8,
            ),
        ],
    ),
    (
        "works on after the drop",
        BUGS,
        [
            ("        let get = Unstoppable(Some(Box::new(get)));", 3),
            (
                "        let get = self.0.as_mut().expect(\"polled after completion\");",
                4,
            ),
            (
                "        let get = self.0.as_mut().expect(\"polled after completion\");",
                4,
            ),
        ],
    ),
    ("sound", HARNESS, [EXCHANGE; 3]),
    (
        "eager",
        HARNESS,
        [
            ("        let mut future = executor::spawn(future);", 6),
            EXCHANGE,
            EXCHANGE,
        ],
    ),
    ("lost wake-up", HARNESS, [EXCHANGE, DEAF, DEAF]),
    (
        "neighbour's reply",
        HARNESS,
        [
            ("        let mut before = self.0.lock().unwrap();", 5),
            EXCHANGE,
            EXCHANGE,
        ],
    ),
    ("busy loop", HARNESS, [EXCHANGE, BUSY, BUSY]),
    ("swallowed close", HARNESS, [EXCHANGE, HOPEFUL, HOPEFUL]),
    ("leaked place", HARNESS, [EXCHANGE, EXCHANGE, EXCHANGE]),
];

const POLLS_AGAIN: Excerpt = ("            try_ready!(sent.poll());", 6);
const WAITS: Excerpt = (
    "        WaitsInPoll::WaitingForReply { reply } => return reply.wait().map(Async::Ready),",
    1,
);
const DEAF: Excerpt = ("                self.0", 2);
const BUSY: Excerpt = ("            let poll = future.poll();", 5);
const HOPEFUL: Excerpt = ("        Box::new(future.or_else(|error| match error {", 4);

const STREAMS: &[(&str, &str, Excerpt)] = &[
    ("boxed", "variants/streams/boxed.rs", PAGES),
    (
        "explicit",
        "variants/streams/explicit.rs",
        (
            "        unfold((self.clone(), Pages::new(prefix)), ask).flatten()",
            1,
        ),
    ),
    ("anon", "variants/streams/anon.rs", PAGES),
    (
        "manual",
        "variants/streams/manual.rs",
        ("            if let Some(pair) = self.pairs.next() {", 8),
    ),
    (
        "pinned",
        "variants/streams/pinned.rs",
        ("            if let Some(pair) = this.pairs.next() {", 3),
    ),
    (
        "awaited",
        "variants/streams/awaited.rs",
        (
            "        stream::try_unfold(start, |(client, mut pages, mut pairs)| async move {",
            10,
        ),
    ),
    (
        "sound",
        HARNESS,
        (
            "        stream::unfold(Pages::new(prefix), move |mut pages| {",
            4,
        ),
    ),
    (
        "asks ahead",
        HARNESS,
        ("            if let Async::Ready(page) = pages.poll()? {", 3),
    ),
    (
        "ends early",
        HARNESS,
        (
            "        pairs(pages.take_while(|pairs| Ok(!pairs.is_empty())))",
            1,
        ),
    ),
    (
        "asks again",
        HARNESS,
        (
            "                let pairs = match page.and_then(|page| pages.receive(page)) {",
            5,
        ),
    ),
    (
        "old scan",
        HARNESS,
        (
            "        let dropped = client.fault.0.lock().unwrap().take();",
            3,
        ),
    ),
];

const PAGES: Excerpt = (
    "        let pages = stream::unfold(Pages::new(prefix), move |mut pages| {",
    4,
);

fn get_code(client: &str, place: usize) -> Option<Code> {
    let (_, file, places) = PLACES.iter().find(|(name, ..)| *name == client)?;
    lines(file, places[place])
}

fn scan_code(client: &str) -> Option<Code> {
    let (_, file, place) = STREAMS.iter().find(|(name, ..)| *name == client)?;
    lines(file, *place)
}

fn woken(task: &str, by: &str, has_reply: bool) -> Option<Code> {
    match (task, by) {
        ("connection", "reactor") | (_, "timer" | "program") => None,
        ("connection", _) => lines("src/client/queue.rs", ENTER),
        (_, "connection") if has_reply => lines("src/client/driver.rs", HAND_OUT),
        (_, "connection") => lines("src/client/queue.rs", ADMIT),
        _ => None,
    }
}
