//! The lines of code that a step happened in.

use super::log::{Code, Event};
use super::words::News;

/// Returns the lines that `event` happened in, after the connection has got `news`.
pub fn of(client: &str, event: &Event, news: News) -> Option<Code> {
    match event {
        Event::Made { task, .. } if task == "task 2" => lines(EXECUTOR, MOVE),
        Event::Made { task, .. } if task.starts_with("reader") => scan_code(client),
        Event::Made { .. } => get_code(client, 0),
        Event::Polled { result, .. } if result == TOO_LATE => lines(RUN, TIME_LIMIT),
        Event::Polled { task, .. } if task == "connection" && news == News::Close => {
            lines(DRIVER, BREAK)
        }
        Event::Poll { task, state, .. } => {
            let is_second = state.as_deref() == Some(SECOND_STATE);
            poll_code(client, task, is_second)
        }
        Event::Polled {
            task,
            state,
            result,
            ..
        } => {
            // A future that is complete shows no state. It was in its second one.
            let is_second = result.starts_with("Ready") || state.as_deref() == Some(SECOND_STATE);
            poll_code(client, task, is_second)
        }
        Event::Item { .. } => scan_code(client),
        Event::Wake { task, by, .. } => woken(task, by, news),
        Event::Sent { .. } => lines(DRIVER, SEND),
        Event::Arrived { .. } => lines(DRIVER, RECEIVE),
        Event::Parked { .. } => lines(EXECUTOR, POLL_ALL),
        Event::Dropped { .. } => drop_code(client, news),
        Event::Served { .. } | Event::Closed { .. } | Event::End => None,
    }
}

/// The state in which a future has sent its request.
const SECOND_STATE: &str = "WaitingForReply";

fn poll_code(client: &str, task: &str, is_second: bool) -> Option<Code> {
    if task == "connection" {
        return lines(DRIVER, TURN);
    }
    if task.starts_with("reader") {
        return scan_code(client);
    }
    get_code(client, usize::from(is_second) + 1)
}

/// Returns the code that runs in a drop. A sound request that is sent has none.
fn drop_code(client: &str, news: News) -> Option<Code> {
    match client {
        "works on after the drop" => lines(BUGS, ("impl Drop for Unstoppable {", 9)),
        "leaked place" => lines(HARNESS, ("        impl<T> Drop for Forgets<T> {", 5)),
        "old scan" => lines(HARNESS, ("        impl Drop for Saved {", 5)),
        "sound" if news == News::None => lines(QUEUE, ("impl Drop for Entry {", 10)),
        _ => None,
    }
}

/// The first line of an excerpt, and the number of its lines.
type Excerpt = (&'static str, usize);

const DRIVER: &str = "src/client/driver.rs";
const QUEUE: &str = "src/client/queue.rs";
const EXECUTOR: &str = "examples/timeline/recorder/executor.rs";
const RUN: &str = "examples/timeline/recorder/run.rs";

/// The result of a request whose time limit has struck.
const TOO_LATE: &str = "Err(the time limit is over)";

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
const POLL_ALL: Excerpt = ("        while let Some(id) = self.next() {", 3);
const FAIL: Excerpt = (
    "        for (_, waiting) in mem::take(&mut self.in_flight) {",
    3,
);
const BREAK: Excerpt = ("            Err(cause) => {", 5);
const MOVE: Excerpt = ("    pub fn move_task(&mut self, from: &str, to: &str) {", 7);
const TIME_LIMIT: Excerpt = (
    "        let limited = Timeout::new(made.future, limit).then(|result| match result {",
    5,
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
const AWAIT: Excerpt = (CHAIN.0, 3);
const BUGS: &str = "examples/timeline/recorder/by_hand.rs";
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
            AWAIT,
            AWAIT,
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
            (
                "        stateless(Unstoppable(Some(self.0.get(key.to_owned()))))",
                1,
            ),
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

fn woken(task: &str, by: &str, news: News) -> Option<Code> {
    match (task, by) {
        ("connection", "reactor") => None,
        ("connection", _) => lines(QUEUE, ENTER),
        (task, by) if task == by => lines(HARNESS, BUSY),
        (_, "connection") => match news {
            News::None => lines(QUEUE, ADMIT),
            News::Reply => lines(DRIVER, HAND_OUT),
            News::Close => lines(DRIVER, FAIL),
        },
        _ => None,
    }
}
