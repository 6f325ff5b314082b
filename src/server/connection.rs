//! One connection: requests in, replies out, in the same order.
//!
//! It is a future written by hand, since it waits for many things at once: requests from the peer,
//! answers from the engine, room in the socket's buffer, and the clock. Whenever it is polled it
//! goes round as long as anything moves, and it is [`Async::NotReady`] only when each of the
//! things that it waits for will wake it.

use std::cell::Cell;
use std::collections::VecDeque;
use std::io;
use std::mem;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::{Async, Future, Poll, task};
use log::debug;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::timer::Delay;

use super::input::Input;
use super::limits::Share;
use super::pipeline::{InFlight, Pending, guarded, known};
use super::refusal::Refusal;
use super::shared::Shared;
use super::shutdown::Signal;
use crate::engine::KvsEngine;
use crate::error::ConnectionError;
use crate::protocol::{self, Kind, MAX_TOKEN_FRAME, Request, Response};

/// After this time a connection lets the others have their turn. It is short because a busy runtime
/// looks out for new events only after many turns.
const TURN: Duration = Duration::from_micros(200);

/// Bytes of requests in flight before no more are started.
const MAX_HELD: usize = 1024 * 1024;

/// Bytes that a request in flight takes besides its own.
const OVERHEAD: usize = 256;

/// Bytes of replies that wait to be sent before no more are made.
const MAX_OUTPUT: usize = 64 * 1024;

/// Bytes of the longest buffer for replies that is kept for the next connection that has some.
const MAX_SPARE: usize = 16 * 1024;

/// Bytes that a connection may hold however little is left for all.
const FREE: usize = 32 * 1024;

/// If a timer fires this much later than it should, the process was stopped or had too much to do.
const LATE: Duration = Duration::from_millis(100);

/// How long a peer has to notice that it was closed.
const LINGER: Duration = Duration::from_secs(1);

/// How long a peer waits that has shown a wrong token.
const WRONG_TOKEN: Duration = Duration::from_secs(1);

thread_local! {
    /// An empty buffer for replies. A connection needs one only from the first of them until all
    /// are sent.
    static SPARE: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// Serves one peer until it closes, the connection breaks, or the server shuts down.
pub(super) struct Connection<E> {
    engine: E,
    socket: TcpStream,
    peer: String,
    shared: Arc<Shared>,
    shutdown: Signal,
    /// Its share of all connections' memory.
    memory: Share,
    /// Its share of the number of connections, or of those that are told that there are too many.
    _place: Share,

    stage: Stage,
    has_token: bool,
    input: Input,
    /// A request that has to wait for those before it, and its size.
    next: Option<(Request, usize)>,
    /// Requests that are under way, oldest first.
    in_flight: VecDeque<InFlight>,
    /// The size of all of them.
    held: usize,
    /// Whether writes among them wait for those of other connections, to be done together.
    has_new_writes: bool,
    /// Replies on their way, of which some bytes may have gone.
    output: Vec<u8>,
    sent: usize,
    requests: u64,

    /// Runs while a frame arrives, or from the beginning while the connection has no token.
    frame_clock: Option<Clock>,
    /// Runs while the output waits for the peer to take all of it.
    output_clock: Option<Clock>,
    timer: Option<Delay>,
}

/// The time that the peer takes for something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Clock {
    since: Instant,
    /// Whether the peer was given more time, because this side was late.
    had_grace: bool,
}

impl Clock {
    fn start() -> Clock {
        Clock {
            since: Instant::now(),
            had_grace: false,
        }
    }
}

/// How much there is still to come from the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Serving,
    /// Nothing more is read. What is in flight is answered.
    Ending,
    /// The peer has closed its half. What is in flight is answered, and that is the end.
    PeerEnded,
    /// All is said. What still arrives is thrown away until the peer closes, too: a socket that is
    /// closed with bytes in it takes back what the peer has not read yet.
    Lingering(Clock),
    /// Nothing reaches the peer any more. What is in flight takes memory until the engine is done.
    Broken,
}

impl<E: KvsEngine> Connection<E> {
    /// Takes over a socket. Where there are too many already, it is closed: at once, if enough
    /// others are being told why.
    pub(super) fn new(
        engine: E,
        socket: TcpStream,
        shared: Arc<Shared>,
        shutdown: Signal,
    ) -> Option<Connection<E>> {
        let mut place = shared.places.share();
        let has_place = place.resize(1);
        if !has_place {
            place = shared.refusals.share();
            if !place.resize(1) {
                return None;
            }
        }
        let peer = match socket.peer_addr() {
            Ok(peer) => peer.to_string(),
            Err(_) => "a peer that is gone".to_owned(),
        };
        debug!("{peer}: connected");
        let mut connection = Connection {
            engine,
            socket,
            peer,
            shutdown,
            memory: shared.memory.share(),
            _place: place,
            stage: Stage::Serving,
            has_token: shared.token.is_none(),
            input: Input::default(),
            next: None,
            in_flight: VecDeque::new(),
            held: 0,
            has_new_writes: false,
            output: Vec::new(),
            sent: 0,
            requests: 0,
            frame_clock: None,
            output_clock: None,
            timer: None,
            shared,
        };
        if !connection.has_token {
            connection.frame_clock = Some(Clock::start());
        }
        if !has_place {
            connection.end_with(Refusal::TooManyConnections);
        }
        Some(connection)
    }

    /// Does all that can be done now, but not for ever. Ready when the connection is at its end.
    fn turn(&mut self) -> Poll<(), io::Error> {
        let start = Instant::now();
        loop {
            if self.stage == Stage::Serving && self.shutdown.is_shutdown() {
                self.stage = Stage::Ending;
            }
            // Each of them, whatever the others did.
            let has_moved = self.read()? | self.work() | self.write()?;
            let is_answered = self.in_flight.is_empty() && self.output.is_empty();
            let stage = self.stage;
            match stage {
                Stage::PeerEnded | Stage::Broken if is_answered => break,
                Stage::Ending if is_answered => {
                    self.socket.shutdown(Shutdown::Write)?;
                    self.stage = Stage::Lingering(Clock::start());
                }
                _ if has_moved && start.elapsed() < TURN => {}
                // Also where there is always something that moves.
                _ if self.is_overdue(has_moved) => match stage {
                    Stage::Lingering(_) => break,
                    _ if self.output_clock.is_some() => {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    _ => self.end_with(Refusal::TooSlow),
                },
                _ => {
                    // The others first. For writes that is so that the engine does theirs as well
                    // when it does these.
                    if has_moved | mem::take(&mut self.has_new_writes) {
                        task::current().notify();
                    }
                    return Ok(Async::NotReady);
                }
            }
        }
        Ok(Async::Ready(()))
    }

    /// Takes in what has arrived, as long as there is something to be done with it.
    fn read(&mut self) -> io::Result<bool> {
        let is_lingering = match self.stage {
            Stage::Serving => false,
            Stage::Lingering(_) => true,
            Stage::Ending | Stage::PeerEnded | Stage::Broken => return Ok(false),
        };
        // What has arrived comes first: it is not for the input to hold what the socket could.
        let is_busy =
            self.next.is_some() || !self.has_room() || self.input.has_frame(self.max_frame());
        if is_busy && !is_lingering {
            return Ok(false);
        }
        if !self.has_memory() && !is_lingering {
            self.end_with(Refusal::Overloaded);
            return Ok(true);
        }
        let socket = &mut self.socket;
        match self.input.read_with(|buffer| socket.poll_read(buffer))? {
            Async::NotReady => Ok(false),
            Async::Ready(0) => {
                if !self.input.is_empty() {
                    debug!("{}: {}", self.peer, ConnectionError::Truncated);
                }
                self.stage = Stage::PeerEnded;
                Ok(true)
            }
            Async::Ready(_) => {
                if is_lingering {
                    self.input = Input::default();
                }
                Ok(true)
            }
        }
    }

    /// Whether another request may be worked on.
    fn has_room(&self) -> bool {
        self.in_flight.len() < self.shared.limits.in_flight.max(1)
            && self.held < MAX_HELD
            && self.output.len() < MAX_OUTPUT
    }

    /// Does what can be done with what has arrived.
    fn work(&mut self) -> bool {
        let mut moved = false;
        while self.start_requests() | self.collect_replies() {
            moved = true;
        }
        moved
    }

    /// Starts whatever has arrived whole and need not wait for what is under way.
    fn start_requests(&mut self) -> bool {
        let mut moved = false;
        while self.stage == Stage::Serving && self.has_room() {
            let (request, size) = match self.next.take() {
                Some(next) => next,
                None => match self.input.next_frame(self.max_frame()) {
                    Ok(None) => break,
                    Ok(Some(frame)) => {
                        let (request, size) = (protocol::read_request(frame), frame.len());
                        self.input.trim();
                        moved = true;
                        self.frame_clock = None;
                        match request {
                            Ok(request) => (request, size),
                            Err(_) if !self.has_token => {
                                self.end_with(Refusal::NoToken);
                                return true;
                            }
                            Err(error) => {
                                self.push_error(error.into());
                                continue;
                            }
                        }
                    }
                    Err(error) => {
                        self.end_with(error.into());
                        return true;
                    }
                },
            };
            if !self.may_start(&request) {
                self.next = Some((request, size));
                if !self.has_memory() {
                    self.end_with(Refusal::Overloaded);
                }
                break;
            }
            moved = true;
            self.start(request, size);
        }
        let is_cut = self.next.is_none() && !self.input.is_empty() && self.has_room();
        if is_cut && self.stage == Stage::Serving {
            self.frame_clock.get_or_insert_with(Clock::start);
        }
        moved
    }

    fn max_frame(&self) -> usize {
        let max = self.shared.limits.frame_bytes;
        match self.has_token {
            true => max,
            false => max.min(MAX_TOKEN_FRAME),
        }
    }

    /// Requests take effect in their order. An engine that keeps it may have several at once;
    /// everything else waits for what is before it.
    fn may_start(&self, request: &Request) -> bool {
        let is_for_engine = matches!(request.kind(), Kind::Get | Kind::Set | Kind::Remove);
        self.in_flight.is_empty() || is_for_engine && self.engine.keeps_order()
    }

    fn is_behind_writes(&self) -> bool {
        let last = self.in_flight.back();
        last.is_some_and(|last| last.is_behind_writes)
    }

    fn start(&mut self, request: Request, size: usize) {
        self.requests += 1;
        let kind = request.kind();
        self.shared.counters.request(kind);
        if !self.has_token && kind != Kind::Auth {
            self.end_with(Refusal::NoToken);
            return;
        }
        let engine = &self.engine;
        let started = match request {
            Request::Get { key } if self.is_behind_writes() => {
                guarded(|| engine.get_in_order(key)).map(Pending::Get)
            }
            Request::Get { key } => guarded(|| engine.get(key)).map(Pending::Get),
            Request::Set { key, value } => {
                guarded(|| engine.set(key, value)).map(|done| Pending::Write(kind, done))
            }
            Request::Remove { key } => {
                guarded(|| engine.remove(key)).map(|done| Pending::Write(kind, done))
            }
            Request::Auth { token } => Ok(self.check_token(&token)),
            Request::Stats {} => guarded(|| engine.stats())
                .map(|stats| known(Response::Stats(Box::new(self.shared.stats(stats))))),
        };
        let started = started.unwrap_or_else(|error| known(error.into()));
        let size = size + started.value_size();
        self.push(started, size);
        if self.stage == Stage::Serving && !self.has_memory() {
            // A write that has begun is answered. A read need not be.
            if kind == Kind::Get
                && let Some(read) = self.in_flight.pop_back()
            {
                self.held -= read.size;
            }
            self.end_with(Refusal::Overloaded);
        }
    }

    fn check_token(&mut self, token: &str) -> Pending {
        match &self.shared.token {
            Some(expected) if !expected.matches(token) => {
                let wrong_tokens = &self.shared.counters.wrong_tokens;
                wrong_tokens.fetch_add(1, Ordering::Relaxed);
                self.shared
                    .log
                    .warn(format_args!("{}: a wrong token", self.peer));
                self.stage = Stage::Ending;
                let delay = Delay::new(Instant::now() + WRONG_TOKEN);
                Pending::Later(delay, Some(Refusal::WrongToken.into()))
            }
            // Where there is no token, any will do.
            _ => {
                self.has_token = true;
                self.frame_clock = None;
                known(Response::Auth)
            }
        }
    }

    fn push(&mut self, mut reply: Pending, size: usize) {
        let is_write = matches!(reply, Pending::Write(..));
        self.has_new_writes |= is_write;
        if self.in_flight.is_empty()
            && !is_write
            && let Async::Ready(reply) = reply.poll()
        {
            self.send(&reply);
            return;
        }
        let size = size + OVERHEAD;
        self.held += size;
        let is_behind_writes = is_write || self.is_behind_writes();
        self.in_flight.push_back(InFlight {
            reply,
            size,
            is_behind_writes,
        });
    }

    fn push_error(&mut self, refusal: Refusal) {
        let reply = Response::from(refusal);
        let size = match &reply {
            Response::Err { message, .. } => message.len(),
            _ => 0,
        };
        self.push(known(reply), size);
    }

    /// Makes replies of what is done, in the order of the requests.
    fn collect_replies(&mut self) -> bool {
        let mut moved = false;
        while self.output.len() < MAX_OUTPUT
            && !self.has_new_writes
            && let Some(request) = self.in_flight.front_mut()
        {
            let value_size = request.reply.value_size();
            let Async::Ready(reply) = request.reply.poll() else {
                // A read behind writes knows only now what it will read.
                let more = request.reply.value_size() - value_size;
                request.size += more;
                self.held += more;
                if more == 0 || self.has_memory() {
                    break;
                }
                self.end(&Refusal::Overloaded);
                if let Some(request) = self.in_flight.front_mut() {
                    request.reply = known(Refusal::Overloaded.into());
                }
                continue;
            };
            moved = true;
            self.held -= request.size;
            self.in_flight.pop_front();
            self.send(&reply);
        }
        moved
    }

    /// Has a reply sent.
    fn send(&mut self, reply: &Response) {
        self.shared.counters.reply(reply);
        if self.stage == Stage::Broken {
            return;
        }
        let sent_before = self.output.len();
        if self.output.capacity() == 0 {
            self.output = SPARE.take();
        }
        protocol::write_frame(reply, &mut self.output);
        // Other replies are short, and few of them wait.
        if matches!(reply, Response::Get(Some(_))) && !self.has_memory() {
            self.output.truncate(sent_before);
            self.output.shrink_to_fit();
            protocol::write_frame(&Refusal::Overloaded.into(), &mut self.output);
            self.end(&Refusal::Overloaded);
        }
    }

    /// Takes its share of the memory for what it holds and is about to read, if there is enough.
    fn has_memory(&mut self) -> bool {
        let next = self.next.as_ref().map_or(0, |(_, size)| *size);
        let size = self.input.size_to_read() + next + self.held + self.output.capacity();
        self.memory.resize(size.saturating_sub(FREE))
    }

    /// Sends what the socket takes.
    fn write(&mut self) -> io::Result<bool> {
        let mut moved = false;
        if self.has_new_writes {
            // What comes before them goes with their replies.
            return Ok(moved);
        }
        while self.sent < self.output.len() {
            match self.socket.poll_write(&self.output[self.sent..])? {
                Async::Ready(0) => return Err(io::ErrorKind::WriteZero.into()),
                Async::Ready(n) => {
                    self.sent += n;
                    moved = true;
                }
                Async::NotReady => {
                    self.output_clock.get_or_insert_with(Clock::start);
                    return Ok(moved);
                }
            }
        }
        let mut output = mem::take(&mut self.output);
        self.sent = 0;
        self.output_clock = None;
        if (1..=MAX_SPARE).contains(&output.capacity()) {
            output.clear();
            SPARE.set(output);
        }
        if self.in_flight.is_empty() {
            self.in_flight.shrink_to(16);
        }
        Ok(moved)
    }

    /// Returns the clock that runs out first, and when it does.
    fn next_deadline(&mut self) -> Option<(Instant, &mut Clock)> {
        let limits = &self.shared.limits;
        let (frame, lingering) = match &mut self.stage {
            Stage::Serving => (self.frame_clock.as_mut(), None),
            Stage::Lingering(clock) => (None, Some(clock)),
            _ => (None, None),
        };
        let output = self.output_clock.as_mut();
        let clocks = [
            (lingering, LINGER),
            (frame, limits.frame_time),
            (output, limits.reply_time),
        ];
        // Where the sum is beyond all time there is no limit.
        let deadlines = clocks.into_iter().filter_map(|(clock, time)| {
            let clock = clock?;
            Some((clock.since.checked_add(time)?, clock))
        });
        deadlines.min_by_key(|(deadline, _)| *deadline)
    }

    /// Returns whether the peer has missed its deadline. If the deadline is still to come,
    /// registers the task to be woken then.
    ///
    /// The peer does not pay for delays of this side. The connection reads the bytes that have
    /// arrived before it checks the clock, and if the process was stopped meanwhile, the time
    /// starts again. Each happens only once for each frame, and for each time that the output
    /// waits. Otherwise a peer that keeps the server busy would have no limit.
    fn is_overdue(&mut self, has_moved: bool) -> bool {
        let mut timer = self.timer.take();
        let is_lingering = matches!(self.stage, Stage::Lingering(_));
        let Some((deadline, clock)) = self.next_deadline() else {
            return false;
        };
        let delay = timer.get_or_insert_with(|| Delay::new(deadline));
        if delay.deadline() != deadline {
            delay.reset(deadline);
        }
        // It fails for a time that is years away, or where its runtime is going away.
        if !delay.poll().is_ok_and(|delay| delay.is_ready()) {
            self.timer = timer;
            return false;
        }
        let now = Instant::now();
        let is_late = now.duration_since(deadline) >= LATE;
        let is_overdue = match is_late {
            true => clock.had_grace,
            false => !has_moved || is_lingering,
        };
        if is_overdue {
            return true;
        }
        clock.had_grace = true;
        if is_late {
            clock.since = now;
        }
        self.timer = timer;
        // The next deadline may be over, too.
        is_late && self.is_overdue(has_moved)
    }

    /// Answers what is in flight, tells the peer why, and that is the end.
    fn end_with(&mut self, refusal: Refusal) {
        self.end(&refusal);
        self.push_error(refusal);
    }

    /// Answers what is in flight, and that is the end.
    fn end(&mut self, refusal: &Refusal) {
        self.shared
            .log
            .warn(format_args!("{}: {refusal}", self.peer));
        self.frame_clock = None;
        self.input = Input::default();
        self.next = None;
        self.stage = Stage::Ending;
    }

    /// Keeps what is in flight and nothing else.
    fn break_off(&mut self) {
        self.stage = Stage::Broken;
        self.input = Input::default();
        self.next = None;
        (self.output, self.sent) = (Vec::new(), 0);
        self.output_clock = None;
    }
}

impl<E: KvsEngine> Future for Connection<E> {
    type Item = ();
    type Error = ();

    fn poll(&mut self) -> Poll<(), ()> {
        let turn = self.turn().or_else(|error| {
            let requests = self.requests;
            let line = format_args!("{}: broken after {requests} requests: {error}", self.peer);
            self.shared.log.warn(line);
            self.break_off();
            self.turn()
        });
        match turn {
            Ok(Async::NotReady) => {
                self.input.give_back();
                return Ok(Async::NotReady);
            }
            _ => debug!("{}: closed after {} requests", self.peer, self.requests),
        }
        Ok(Async::Ready(()))
    }
}
