//! Which request goes to which node, and when.
//!
//! Each slot has a queue. The requests of a slot are sent in the order of their calls, and never in
//! two batches at a time, so requests of one key take effect in order. A node gets a batch as soon
//! as it has answered the one before: with one caller that is one request, and under load it is all
//! that has arrived meanwhile.
//!
//! A request that a node has refused is put back to the front of its queue. So is a read whose
//! connection broke. A write whose connection broke may have been done, and doing it again might
//! undo a later write of another client. It fails, and the error says so.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use ahash::RandomState;
use redis::Value;
use redis::aio::MultiplexedConnection;

use super::counters::Counters;
use super::job::{Job, Reply};
use super::learn::{self, Learned};
use super::node::{self, Lane, Lost, Next};
use super::options::ClusterOptions;
use super::slots::{Addr, SLOTS, Slot, Topology};
use super::work::{Event, READS, WRITES, Work, lane_of};
use crate::engine::SyncLevel;
use crate::error::KvsError;

/// The most requests of a batch.
const MAX_BATCH: usize = 256;

/// A batch of this many bytes takes no further request.
const MAX_BATCH_BYTES: usize = 256 * 1024;

/// The bytes of values that a batch may read, if they are as long as those before.
const MAX_READ_BYTES: usize = 4 * 1024 * 1024;

/// The number of redirections after which a request waits for the next tick. Until the nodes agree,
/// they may send it to each other.
const MAX_REDIRECTIONS: u32 = 4;

/// The shortest time between two questions for the topology.
const LEARN_PAUSE: Duration = Duration::from_millis(200);

/// The requests of one slot, oldest first.
#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    place: Place,
}

/// Where a slot is. It is in one place at a time.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In no list.
    #[default]
    Nowhere,
    /// Ready in a lane, or parked until the next tick.
    Listed,
    /// A batch has its oldest requests.
    Busy,
}

pub(super) struct Router {
    options: ClusterOptions,
    counters: Arc<Counters>,
    topology: Topology,
    /// The queue of each slot.
    queues: Vec<Queue>,
    nodes: HashMap<Addr, [Lane; 2], RandomState>,
    /// The slots whose node is not known, or could not be asked.
    parked: Vec<Slot>,
    is_learning: bool,
    wants_topology: bool,
    asked: Instant,
    /// The average length of the values in the last batch that read some.
    value_len: usize,
    /// The last reason why a request had to wait.
    problem: String,
}

impl Router {
    pub(super) fn new(
        options: ClusterOptions,
        counters: Arc<Counters>,
        learned: Learned,
    ) -> Router {
        let mut router = Router {
            options,
            counters,
            topology: Topology::default(),
            queues: (0..SLOTS).map(|_| Queue::default()).collect(),
            nodes: HashMap::default(),
            parked: Vec::new(),
            is_learning: false,
            wants_topology: false,
            asked: Instant::now(),
            value_len: 0,
            problem: String::new(),
        };
        router.learn(learned);
        router
    }

    /// Adds a request behind those of its slot.
    pub(super) fn push(&mut self, job: Job) {
        let slot = job.slot;
        let queue = &mut self.queues[usize::from(slot)];
        queue.jobs.push_back(job);
        if queue.place == Place::Nowhere {
            self.schedule(slot);
        }
    }

    /// Returns all work that can begin now.
    pub(super) fn next(&mut self) -> Vec<Work> {
        let lanes = self.nodes.iter().flat_map(|(addr, lanes)| {
            let ready = [WRITES, READS].into_iter();
            let ready = ready.filter(|n| lanes[*n].has_next());
            ready.map(|n| (Addr::clone(addr), n))
        });
        let lanes: Vec<_> = lanes.collect();
        let mut begun: Vec<_> = lanes
            .into_iter()
            .filter_map(|(addr, n)| self.next_of_lane(addr, n))
            .collect();
        if self.wants_topology && !self.is_learning && self.asked.elapsed() >= LEARN_PAUSE {
            (self.wants_topology, self.is_learning) = (false, true);
            let (login, known) = (self.options.login.clone(), self.topology.masters());
            begun.push(Box::pin(async move {
                Event::Learned(learn::topology(&login, known).await)
            }));
        }
        begun
    }

    /// Begins the next step of a lane, if there is one.
    fn next_of_lane(&mut self, addr: Addr, n: usize) -> Option<Work> {
        match self.nodes.get_mut(&addr)?[n].next() {
            Next::Nothing => None,
            Next::Connect => {
                let login = self.options.login.redis();
                Some(Box::pin(async move {
                    let connected = node::connect(&addr, &login).await;
                    Event::Connected(addr, n, connected.map_err(|error| error.to_string()))
                }))
            }
            Next::Send(link) => {
                let (slots, jobs) = self.batch(&addr, n);
                if jobs.is_empty() {
                    self.open(&addr, n, link.into_connection());
                    return None;
                }
                let waits = self.options.sync == SyncLevel::Always && n == WRITES;
                Counters::add(&self.counters.batches, 1);
                Some(Box::pin(async move {
                    let answered = link.exchange(&jobs, waits).await;
                    Event::Answered(addr, n, slots, jobs, answered)
                }))
            }
        }
    }

    pub(super) fn apply(&mut self, event: Event) {
        match event {
            Event::Connected(addr, n, Ok(connection)) => self.open(&addr, n, connection),
            Event::Connected(addr, n, Err(error)) => {
                self.close(&addr, n, format!("cannot connect to {addr}: {error}"));
            }
            Event::Answered(addr, n, slots, jobs, answered) => {
                match answered {
                    Ok((connection, replies)) => {
                        self.open(&addr, n, connection);
                        self.answer(&addr, jobs, replies);
                    }
                    Err(lost) => self.lose(&addr, n, jobs, &lost),
                }
                for slot in slots {
                    self.schedule(slot);
                }
            }
            Event::Learned(learned) => {
                self.is_learning = false;
                self.asked = Instant::now();
                match learned {
                    Ok(learned) => self.learn(learned),
                    Err(problem) => {
                        self.problem = problem;
                        self.wants_topology = true;
                    }
                }
            }
        }
    }

    /// Fails the requests that are late, and tries the parked ones again.
    pub(super) fn tick(&mut self) {
        let limit = self.options.limit;
        for queue in &mut self.queues {
            while queue.jobs.front().is_some_and(|job| job.is_late(limit))
                && let Some(job) = queue.jobs.pop_front()
            {
                let problem = &self.problem;
                job.fail(KvsError::Cluster {
                    reason: format!("the request was not done within {limit:?}: {problem}"),
                });
            }
        }
        for slot in std::mem::take(&mut self.parked) {
            self.schedule(slot);
        }
    }

    /// Puts a slot where its oldest request is to be sent.
    fn schedule(&mut self, slot: Slot) {
        let queue = &mut self.queues[usize::from(slot)];
        let Some(job) = queue.jobs.front() else {
            queue.place = Place::Nowhere;
            return;
        };
        queue.place = Place::Listed;
        let to = job.detour.as_ref().or_else(|| self.topology.owner(slot));
        if let Some(addr) = to
            && job.redirections <= MAX_REDIRECTIONS
        {
            let n = lane_of(self.options.sync, job);
            let lanes = self.nodes.entry(Addr::clone(addr)).or_default();
            lanes[n].ready.push_back(slot);
            return;
        }
        if let Some(job) = queue.jobs.front_mut()
            && job.redirections > MAX_REDIRECTIONS
        {
            job.redirections = 0;
        } else {
            self.problem = format!("no node has slot {slot}");
        }
        self.parked.push(slot);
        self.wants_topology = true;
    }

    /// Takes the next requests for a lane from the queues of its slots, and returns them with the
    /// slots. There may be none: they may have been late.
    fn batch(&mut self, addr: &Addr, n: usize) -> (Vec<Slot>, Vec<Job>) {
        let Some(lanes) = self.nodes.get_mut(addr) else {
            return (Vec::new(), Vec::new());
        };
        let waiting = lanes[n].ready.len().min(MAX_BATCH);
        let (mut slots, mut batch) = (Vec::with_capacity(waiting), Vec::with_capacity(waiting));
        let mut bytes = 0;
        let max_batch = MAX_BATCH.min(1 + MAX_READ_BYTES / self.value_len.max(1));
        let mut passed = Vec::new();
        while batch.len() < max_batch
            && bytes < MAX_BATCH_BYTES
            && let Some(slot) = lanes[n].ready.pop_front()
        {
            let queue = &mut self.queues[usize::from(slot)];
            let owner = self.topology.owner(slot);
            // The requests behind the first may be for the owner of the slot, or for another lane.
            let is_for_lane = |job: &Job| {
                lane_of(self.options.sync, job) == n && job.detour.as_ref().or(owner) == Some(addr)
            };
            let before = batch.len();
            while batch.len() < max_batch
                && bytes < MAX_BATCH_BYTES
                && queue.jobs.front().is_some_and(is_for_lane)
                && let Some(job) = queue.jobs.pop_front()
            {
                bytes += job.bytes();
                batch.push(job);
            }
            queue.place = Place::Busy;
            if batch.len() == before {
                passed.push(slot);
            } else {
                slots.push(slot);
            }
        }
        for slot in passed {
            self.schedule(slot);
        }
        (slots, batch)
    }

    /// Answers the requests of a batch, and puts those back that the node has not done.
    fn answer(&mut self, addr: &Addr, jobs: Vec<Job>, mut replies: Vec<Value>) {
        let detours = jobs.iter().filter(|job| job.detour.is_some()).count();
        let has_copy = match replies.len().checked_sub(jobs.len() + detours) {
            Some(0) => true,
            // The reply to `WAIT`.
            _ => matches!(replies.pop(), Some(Value::Int(1..))),
        };
        self.measure(&replies);
        let mut replies = replies.into_iter();
        let mut put_back: Vec<(Job, Reply)> = Vec::new();
        for job in jobs {
            if job.detour.is_some() {
                // The reply to `ASKING`.
                replies.next();
            }
            // The link has counted the replies, so there is one.
            match Reply::of(replies.next().unwrap_or_default()) {
                Reply::Final(value) => {
                    // The requests of a key take effect in order, or not at all.
                    let is_before = |(other, _): &mut (Job, Reply)| other.key == job.key;
                    for (passed, _) in put_back.extract_if(.., is_before) {
                        passed.fail(KvsError::Cluster {
                            reason: format!("{addr} has refused the request and done a later one"),
                        });
                    }
                    let has_changed = matches!(value, Value::Okay | Value::Int(1..));
                    if has_changed && !has_copy {
                        job.fail(KvsError::OutcomeUnknown {
                            reason: format!("{addr} has done it, but no replica has it yet"),
                        });
                    } else {
                        job.answer(addr, value);
                    }
                }
                refused => put_back.push((job, refused)),
            }
        }
        while let Some((job, reply)) = put_back.pop() {
            self.put_back(addr, job, reply);
        }
    }

    /// Notes how long the values are that a batch has read.
    fn measure(&mut self, replies: &[Value]) {
        let (mut values, mut bytes) = (0, 0);
        for reply in replies {
            if let Value::BulkString(value) = reply {
                values += 1;
                bytes += value.len();
            }
        }
        self.value_len = bytes.checked_div(values).unwrap_or(self.value_len);
    }

    /// Puts a request that `addr` has refused to the front of its queue.
    fn put_back(&mut self, addr: &Addr, mut job: Job, reply: Reply) {
        job.detour = None;
        job.redirections += 1;
        let here = |to: String| match to.strip_prefix(':') {
            // The node does not know its own name.
            Some(port) => {
                let host = node::split(addr).map_or("", |(host, _)| host);
                Addr::from(format!("{host}:{port}"))
            }
            None => Addr::from(to),
        };
        match reply {
            Reply::Moved(to) => {
                self.problem = format!("{addr} sent it to {to}");
                self.topology.set(job.slot, &here(to));
                self.wants_topology = true;
                Counters::add(&self.counters.redirections, 1);
            }
            Reply::Ask(to) => {
                self.problem = format!("{addr} sent it to {to}");
                job.detour = Some(here(to));
                Counters::add(&self.counters.redirections, 1);
            }
            Reply::NotNow(error) => {
                self.problem = format!("{addr} refused it: {error}");
                self.wants_topology = true;
                job.redirections = MAX_REDIRECTIONS + 1;
            }
            Reply::Final(_) => {}
        }
        self.return_to_queue(job);
    }

    /// Puts the reads of a batch back whose connection broke, and fails the writes.
    fn lose(&mut self, addr: &Addr, n: usize, jobs: Vec<Job>, lost: &Lost) {
        let Lost { was_sent, reason } = lost;
        for mut job in jobs.into_iter().rev() {
            if *was_sent && job.is_write() {
                job.fail(KvsError::OutcomeUnknown {
                    reason: format!("the connection to {addr} broke after it was sent: {reason}"),
                });
            } else {
                job.detour = None;
                self.return_to_queue(job);
            }
        }
        self.close(addr, n, format!("the connection to {addr} broke: {reason}"));
    }

    fn return_to_queue(&mut self, job: Job) {
        self.queues[usize::from(job.slot)].jobs.push_front(job);
    }

    fn open(&mut self, addr: &Addr, n: usize, connection: MultiplexedConnection) {
        if let Some(lanes) = self.nodes.get_mut(addr) {
            lanes[n].open(connection);
        }
    }

    /// Notes that a lane has no connection. Its slots are parked, since they may have another owner
    /// soon.
    fn close(&mut self, addr: &Addr, n: usize, problem: String) {
        if let Some(lanes) = self.nodes.get_mut(addr) {
            lanes[n].close();
            self.parked.extend(lanes[n].ready.drain(..));
        }
        self.problem = problem;
        self.wants_topology = true;
    }

    /// Begins to use another topology.
    fn learn(&mut self, learned: Learned) {
        self.topology = learned.topology;
        *self.counters.topology.lock() = Arc::new(self.topology.clone());
        let lanes = self.nodes.values_mut().flatten();
        let mut listed: Vec<_> = lanes.flat_map(|lane| lane.ready.drain(..)).collect();
        listed.append(&mut self.parked);
        for slot in listed {
            self.schedule(slot);
        }
        // A node that left the cluster may still have a batch under way.
        let masters = self.topology.masters();
        self.nodes
            .retain(|addr, lanes| masters.contains(addr) || !lanes.iter().all(Lane::is_unused));
    }
}
