//! One connection: requests in, replies out, in the same order.
//!
//! It is a future written by hand, because it waits for four things at once: requests from the
//! peer, answers from the engine, room in the socket's buffer, and the clocks. One poll is one
//! *turn*, and a turn repeats three steps as long as any of them makes progress:
//!
//! ```text
//!  read    socket -> Input
//!  work    Input -> Request -> engine -> Pipeline -> Response -> Output
//!  write   Output -> socket
//! ```
//!
//! A turn ends with [`Async::NotReady`] only if each of these things will wake the task.

mod ending;
mod plain;

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use futures::{Async, Future, Poll, task};
use log::debug;

use super::clocks::Clock;
use super::limits::Share;
use super::peer::Peer;
use super::pipeline::{Oldest, Pending, Pipeline};
use super::progress::Progress;
use super::refusal::Refusal;
use super::shared::{Place, Shared};
use super::shutdown::ShutdownSignal;
use super::socket::Socket;
use super::stage::Stage;
use crate::engine::KvsEngine;
use crate::error::ConnectionError;
use crate::protocol::{self, Kind, Request, Response};

/// The time after which a connection lets other connections have their turns. It is short because a
/// busy runtime looks for new events only after many turns.
const TURN: Duration = Duration::from_micros(200);

/// The memory in bytes that a connection may use even if all connections together use too much.
const FREE: usize = 32 * 1024;

/// The time that a peer with a wrong token waits for the reply.
const WRONG_TOKEN: Duration = Duration::from_secs(1);

/// Serves one peer until it disconnects, the connection breaks, or the server shuts down.
pub(super) struct Connection<E> {
    engine: E,
    peer: Peer,
    shared: Arc<Shared>,
    shutdown: ShutdownSignal,
    /// Its share of the memory of all connections.
    memory: Share,
    _place: Place,

    stage: Stage,
    has_token: bool,
    /// A request that may start only after those in flight, and its size.
    waiting: Option<(Request, usize)>,
    pipeline: Pipeline,
    /// The number of requests so far.
    requests: u64,
}

impl<E: KvsEngine> Connection<E> {
    /// Takes over a socket. If there are too many connections, tells the peer so. If too many peers
    /// are being told so already, returns `None`.
    pub(super) fn new(
        engine: E,
        socket: Socket,
        shared: Arc<Shared>,
        shutdown: ShutdownSignal,
    ) -> Option<Connection<E>> {
        let place = shared.take_place()?;
        let is_refused = place.is_refusal;
        let mut connection = Connection {
            engine,
            peer: Peer::new(socket),
            shutdown,
            memory: shared.memory.share(),
            _place: place,
            stage: Stage::Serving,
            has_token: shared.token.is_none(),
            waiting: None,
            pipeline: Pipeline::new(),
            requests: 0,
            shared,
        };
        debug!("{}: connected", connection.peer);
        if !connection.has_token {
            connection.peer.clocks.frame = Some(Clock::start());
        }
        if is_refused {
            connection.end_with(Refusal::TooManyConnections);
        }
        Some(connection)
    }

    /// Does everything that can be done now, for a limited time. Ready at the end of the
    /// connection.
    fn turn(&mut self) -> Poll<(), io::Error> {
        let start = Instant::now();
        self.pipeline.begin_turn(start);
        loop {
            if self.stage == Stage::Serving && self.shutdown.is_shutdown() {
                self.stop_reading(Stage::Ending);
            }
            let progress = Progress::of([self.read()?, self.work(), self.write()?]);
            if self.is_answered() {
                match self.stage {
                    Stage::PeerEnded | Stage::Broken => return Ok(Async::Ready(())),
                    Stage::Ending => {
                        self.linger()?;
                        continue;
                    }
                    Stage::Serving | Stage::Lingering => {}
                }
            }
            if progress == Progress::Made && start.elapsed() < TURN {
                continue;
            }
            // Every turn checks this, so that a peer cannot escape its deadlines by sending more.
            let clocks = &mut self.peer.clocks;
            if !clocks.is_overdue(&self.shared.limits, progress) {
                self.end_turn(progress);
                return Ok(Async::NotReady);
            }
            match self.stage {
                Stage::Lingering => return Ok(Async::Ready(())),
                // A peer that does not take its replies would not take this one, either.
                _ if clocks.output.is_some() => return Err(io::ErrorKind::TimedOut.into()),
                _ => self.end_with(Refusal::TooSlow),
            }
        }
    }

    /// Lets other connections have their turns, and wakes the task if this one has more to do.
    fn end_turn(&mut self, progress: Progress) {
        // The executor polls the task again after all tasks that are ready now.
        let has_writes = self.pipeline.release_writes();
        if has_writes || progress == Progress::Made {
            task::current().notify();
        }
    }

    /// Returns whether every request has a reply and the socket has taken all replies.
    fn is_answered(&self) -> bool {
        self.pipeline.is_empty() && self.peer.output.is_empty()
    }

    /// Reads from the socket, if the connection can use more bytes.
    fn read(&mut self) -> io::Result<Progress> {
        let stage = self.stage;
        match stage {
            // While a request can start, more bytes stay in the socket. There they take none of the
            // server's memory, and the system stops the peer when they are too many.
            Stage::Serving if self.is_busy() => return Ok(Progress::None),
            Stage::Serving if !self.reserve_memory() => {
                self.end_with(Refusal::Overloaded);
                return Ok(Progress::Made);
            }
            Stage::Serving | Stage::Lingering => {}
            Stage::Ending | Stage::PeerEnded | Stage::Broken => return Ok(Progress::None),
        }
        let Async::Ready(n) = self.peer.read()? else {
            return Ok(Progress::None);
        };
        if n == 0 && !self.peer.input.is_empty() {
            debug!("{}: {}", self.peer, ConnectionError::Truncated);
        }
        if n == 0 {
            self.stop_reading(Stage::PeerEnded);
        } else if stage == Stage::Lingering {
            self.peer.discard_input();
        }
        Ok(Progress::Made)
    }

    /// Returns whether a request has arrived, or none may start.
    fn is_busy(&self) -> bool {
        self.waiting.is_some() || !self.has_room() || self.peer.input.has_frame(self.max_frame())
    }

    /// Returns the length in bytes of the longest frame that the peer may send now.
    fn max_frame(&self) -> usize {
        self.shared.limits.max_frame(self.has_token)
    }

    /// Returns whether another request may start.
    fn has_room(&self) -> bool {
        let max = self.shared.limits.in_flight.max(1);
        self.pipeline.has_room(max) && !self.peer.output.is_full()
    }

    /// Starts requests and collects replies until neither is possible.
    fn work(&mut self) -> Progress {
        let mut progress = Progress::None;
        // A reply makes room for a request, and the reply to a request may be there at once.
        while Progress::of([self.start_requests(), self.collect_replies()]) == Progress::Made {
            progress = Progress::Made;
        }
        progress
    }

    /// Starts the requests that have arrived and need not wait for those in flight.
    fn start_requests(&mut self) -> Progress {
        let mut progress = Progress::None;
        while self.stage == Stage::Serving && self.has_room() {
            if self.start_plain() {
                progress = Progress::Made;
                continue;
            }
            match self.next_request() {
                Ok(None) => break,
                Ok(Some((request, size))) => self.start(request, size),
                Err(refusal) if refusal.ends_connection() => self.end_with(refusal),
                Err(refusal) => self.push_refusal(refusal),
            }
            progress = Progress::Made;
        }
        // The rest of the input is the beginning of a frame. While there is no room, the frame may
        // be late because of this side, and its clock does not start.
        let is_cut = self.waiting.is_none() && !self.peer.input.is_empty() && self.has_room();
        if is_cut && self.stage == Stage::Serving {
            self.peer.clocks.frame.get_or_insert_with(Clock::start);
        }
        progress
    }

    /// Returns the next request and its size if it may start now.
    fn next_request(&mut self) -> Result<Option<(Request, usize)>, Refusal> {
        let next = match self.waiting.take() {
            None => self.next_arrived()?,
            waiting => waiting,
        };
        let Some((request, size)) = next else {
            return Ok(None);
        };
        if self.may_start(request.kind()) {
            return Ok(Some((request, size)));
        }
        self.waiting = Some((request, size));
        if self.reserve_memory() {
            Ok(None)
        } else {
            Err(Refusal::Overloaded)
        }
    }

    /// Takes the next request out of the input, if all of it has arrived.
    fn next_arrived(&mut self) -> Result<Option<(Request, usize)>, Refusal> {
        let Some(frame) = self.peer.input.next_frame(self.max_frame())? else {
            return Ok(None);
        };
        let (request, size) = (protocol::read_request(frame), frame.len());
        self.release_frame();
        match request {
            Ok(request) => Ok(Some((request, size))),
            // A peer without the token gets no second try.
            Err(_) if !self.has_token => Err(Refusal::NoToken),
            Err(error) => Err(error.into()),
        }
    }

    /// Stops the clock of the frame that was taken, and frees its memory if it was long. The caller
    /// needs its bytes no longer.
    fn release_frame(&mut self) {
        self.peer.input.trim();
        self.peer.clocks.frame = None;
    }

    /// Counts a request that starts now.
    fn count_request(&mut self, kind: Kind) {
        self.requests += 1;
        self.shared.counters.request(kind);
    }

    /// Returns whether a request may start although others are in flight. Requests take effect in
    /// their order, and only some engines keep that order. Scans and requests to the server itself
    /// wait for all requests before them, and all requests wait for a scan before them.
    fn may_start(&self, kind: Kind) -> bool {
        let is_ordered = matches!(kind, Kind::Get | Kind::Set | Kind::Remove)
            && self.engine.keeps_order()
            && !self.pipeline.has_scan();
        self.pipeline.is_empty() || is_ordered
    }

    fn start(&mut self, request: Request, size: usize) {
        let kind = request.kind();
        self.count_request(kind);
        if !self.has_token && kind != Kind::Auth {
            self.end_with(Refusal::NoToken);
            return;
        }
        let engine = &self.engine;
        let pending = match request {
            Request::Get { key } if self.pipeline.is_behind_writes() => {
                Pending::get(|| engine.get_in_order(key))
            }
            Request::Get { key } => Pending::get(|| engine.get(key)),
            Request::Set { key, value } => Pending::write(kind, || engine.set(key, value)),
            Request::Remove { key } => Pending::write(kind, || engine.remove(key)),
            Request::Auth { token } => self.check_token(&token),
            Request::Scan(scan) => Pending::scan(scan, |scan| engine.scan(scan)),
            Request::Stats {} => Pending::stats(&self.shared, || engine.stats()),
        };
        self.push_started(kind, pending, size);
    }

    /// Adds a request that the engine has started. If there is no memory for it, ends the
    /// connection.
    fn push_started(&mut self, kind: Kind, pending: Pending, size: usize) {
        self.push(Some(kind), pending, size);
        // The engine tells the size of a value only now.
        if self.stage == Stage::Serving && !self.reserve_memory() {
            // The engine may have begun a write, so its reply is due. A read may be given up.
            if matches!(kind, Kind::Get | Kind::Scan) {
                self.pipeline.remove_newest();
            }
            self.end_with(Refusal::Overloaded);
        }
    }

    fn check_token(&mut self, token: &str) -> Pending {
        let expected = self.shared.token.as_ref();
        // A server without a token accepts any.
        if expected.is_none_or(|expected| expected.matches(token)) {
            self.has_token = true;
            self.peer.clocks.frame = None;
            return Pending::known(Response::Auth);
        }
        let wrong_tokens = &self.shared.counters.wrong_tokens;
        wrong_tokens.fetch_add(1, Ordering::Relaxed);
        self.warn(format_args!("a wrong token"));
        self.stop_reading(Stage::Ending);
        // The delay slows down a peer that guesses tokens.
        Pending::later(Refusal::WrongToken.into(), WRONG_TOKEN)
    }

    fn push(&mut self, kind: Option<Kind>, pending: Pending, size: usize) {
        if let Some(reply) = self.pipeline.push(kind, pending, size) {
            self.send(&reply);
        }
    }

    fn push_refusal(&mut self, refusal: Refusal) {
        self.push(None, Pending::known(refusal.into()), 0);
    }

    /// Moves replies that are ready into the output, in the order of the requests.
    fn collect_replies(&mut self) -> Progress {
        let mut progress = Progress::None;
        while !self.peer.output.is_full() {
            match self.pipeline.poll_oldest() {
                Oldest::Done(reply) => self.send(&reply),
                Oldest::Early(len) => self.send_early(len),
                Oldest::Grown if !self.reserve_memory() => {
                    self.pipeline.remove_oldest();
                    self.send(&Refusal::Overloaded.into());
                    self.end(&Refusal::Overloaded);
                }
                Oldest::Grown | Oldest::Waiting => break,
            }
            progress = Progress::Made;
        }
        progress
    }

    /// Appends a reply to the output.
    fn send(&mut self, reply: &Response) {
        self.shared.counters.reply(reply);
        if self.stage == Stage::Broken {
            return;
        }
        let len = self.peer.output.len();
        self.peer.output.push(reply);
        // Other replies are short, and few of them wait.
        if matches!(reply, Response::Get(Some(_)) | Response::Scan(_)) {
            self.reserve_reply(len);
        }
    }

    /// Reserves the memory of the reply behind the first `len` bytes of the output. If there is not
    /// enough, the peer gets an error instead.
    fn reserve_reply(&mut self, len: usize) {
        if !self.reserve_memory() {
            self.peer.output.truncate(len);
            self.peer.output.push(&Refusal::Overloaded.into());
            self.end(&Refusal::Overloaded);
        }
    }

    /// Resizes the connection's share of the memory to its need, including the next read. Returns
    /// whether there is enough.
    fn reserve_memory(&mut self) -> bool {
        let waiting = self.waiting.as_ref().map_or(0, |(_, size)| *size);
        let size = self.peer.input.size_to_read()
            + waiting
            + self.pipeline.size()
            + self.peer.output.size();
        self.memory.resize(size.saturating_sub(FREE))
    }

    /// Writes replies until the socket's buffer is full.
    fn write(&mut self) -> io::Result<Progress> {
        // The replies that are ready go out together with those of the new writes.
        if self.pipeline.has_new_writes() {
            return Ok(Progress::None);
        }
        let n = self.peer.write()?;
        if self.is_answered() {
            self.pipeline.shrink();
        }
        Ok(Progress::from(n > 0))
    }

    fn warn(&self, line: fmt::Arguments<'_>) {
        self.shared.log.warn(format_args!("{}: {line}", self.peer));
    }
}

impl<E: KvsEngine> Future for Connection<E> {
    type Item = ();
    type Error = ();

    fn poll(&mut self) -> Poll<(), ()> {
        let turn = self.turn().or_else(|error| {
            let requests = self.requests;
            self.warn(format_args!("broken after {requests} requests: {error}"));
            self.break_off();
            self.turn()
        });
        self.shared.latencies.record(self.pipeline.answered());
        if let Ok(Async::NotReady) = turn {
            // Other connections of this thread use the same buffer.
            self.peer.input.give_back();
            return Ok(Async::NotReady);
        }
        debug!("{}: closed after {} requests", self.peer, self.requests);
        Ok(Async::Ready(()))
    }
}
