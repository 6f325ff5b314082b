//! Load for a server: many connections on one thread. Each of them has a constant number of pending
//! requests, and sends another one for each reply. Every reply is checked.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use mio::net::TcpStream;
use mio::{Events, Poll, Token};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::socket::Socket;
use super::used;

/// How long the load waits for the last replies at the end.
const PATIENCE: Duration = Duration::from_secs(30);

/// The number of digits of the number in a key and in a value.
pub const DIGITS: usize = 12;

/// The protocol that a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    Kvs,
    Redis,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Get,
    Set,
}

/// The load that a server is measured with.
#[derive(Debug, Clone)]
pub struct Load {
    pub connections: usize,
    /// The number of pending requests on each connection.
    pub depth: usize,
    /// The number of reads in a hundred requests.
    pub gets: u32,
    /// The number of keys. Each has a value from the start.
    pub keys: u32,
    pub value_bytes: usize,
}

/// The measurements of a server under a load.
pub struct Taken {
    pub per_second: f64,
    /// Requests per second of the time that the processors spend on the server.
    pub per_processor_second: f64,
    /// The latency of each request, in nanoseconds.
    pub latency: Histogram<u64>,
}

impl Taken {
    /// Returns the latency that this part of the requests do not exceed, in microseconds.
    pub fn micros(&self, part: f64) -> f64 {
        self.latency.value_at_quantile(part) as f64 / 1e3
    }
}

/// Puts every key and value into a server.
pub fn fill(protocol: Protocol, addr: SocketAddr, load: &Load) -> io::Result<()> {
    const TOGETHER: usize = 100;
    let mut server = std::net::TcpStream::connect(addr)?;
    let mut messages = Messages::new(protocol, load);
    for first in (0..load.keys).step_by(TOGETHER) {
        let (mut requests, mut replies) = (Vec::new(), Vec::new());
        for key in (first..load.keys).take(TOGETHER) {
            requests.extend_from_slice(messages.request(Op::Set, key));
            replies.extend_from_slice(messages.reply(Op::Set, key));
        }
        server.write_all(&requests)?;
        let mut found = vec![0; replies.len()];
        server.read_exact(&mut found)?;
        check(&found, &replies);
    }
    Ok(())
}

/// The connections to a server. They are under load while [`run`](Running::run) runs.
pub struct Running {
    load: Load,
    poll: Poll,
    connections: Vec<Connection>,
    random: SmallRng,
    messages: Messages,
    /// The buffer that replies are read into.
    chunk: Vec<u8>,
}

struct Connection {
    socket: Socket,
    under_way: VecDeque<UnderWay>,
}

struct UnderWay {
    since: Instant,
    op: Op,
    key: u32,
}

impl Running {
    pub fn connect(protocol: Protocol, addr: SocketAddr, load: &Load) -> io::Result<Running> {
        let poll = Poll::new()?;
        let connect = |n| {
            let stream = std::net::TcpStream::connect(addr)?;
            stream.set_nonblocking(true)?;
            Ok(Connection {
                socket: Socket::new(TcpStream::from_std(stream), poll.registry(), n)?,
                under_way: VecDeque::new(),
            })
        };
        let connections = (0..load.connections).map(connect);
        Ok(Running {
            connections: connections.collect::<io::Result<_>>()?,
            load: load.clone(),
            poll,
            random: SmallRng::seed_from_u64(1),
            messages: Messages::new(protocol, load),
            chunk: vec![0; 64 * 1024],
        })
    }

    /// Puts the server, which is this process, under load for `warm_up`, and then measures it for
    /// `time`.
    pub fn run(&mut self, server: u32, warm_up: Duration, time: Duration) -> io::Result<Taken> {
        let [before, _] = used::by(server)?;
        let mut requests = 0;
        let begin = Instant::now() + warm_up;
        let end = begin + time;
        let mut latency = Histogram::new(3).expect("three digits are possible");
        let mut events = Events::with_capacity(1024);
        let mut now = Instant::now();
        for n in 0..self.connections.len() {
            self.fill_up(n, now)?;
        }
        while self.is_busy() {
            assert!(now < end + PATIENCE, "replies are missing");
            self.poll.poll(&mut events, Some(PATIENCE))?;
            now = Instant::now();
            let is_measured = (begin..end).contains(&now);
            let mut took = |since: Instant| {
                requests += 1;
                if is_measured {
                    let nanos = (now - since).as_nanos() as u64;
                    latency.record(nanos).expect("the histogram grows");
                }
            };
            for event in &events {
                let Token(n) = event.token();
                self.receive(n, &mut took)?;
                if now < end {
                    self.fill_up(n, now)?;
                } else {
                    self.connections[n].socket.send()?;
                }
            }
        }
        let [after, _] = used::by(server)?;
        Ok(Taken {
            per_second: latency.len() as f64 / time.as_secs_f64(),
            per_processor_second: f64::from(requests) / (after - before),
            latency,
        })
    }

    fn is_busy(&self) -> bool {
        self.connections
            .iter()
            .any(|connection| !connection.under_way.is_empty())
    }

    /// Sends requests until as many are pending as the load says.
    fn fill_up(&mut self, n: usize, now: Instant) -> io::Result<()> {
        let connection = &mut self.connections[n];
        while connection.under_way.len() < self.load.depth {
            let op = if self.random.random_range(0..100) < self.load.gets {
                Op::Get
            } else {
                Op::Set
            };
            let key = self.random.random_range(0..self.load.keys);
            let request = self.messages.request(op, key);
            connection.socket.output.extend_from_slice(request);
            connection.under_way.push_back(UnderWay {
                since: now,
                op,
                key,
            });
        }
        connection.socket.send()
    }

    /// Takes all replies that have arrived.
    fn receive(&mut self, n: usize, took: &mut impl FnMut(Instant)) -> io::Result<()> {
        let connection = &mut self.connections[n];
        connection.socket.receive(&mut self.chunk)?;
        let input = &mut connection.socket.input;
        let mut taken = 0;
        while let Some(UnderWay { since, op, key }) = connection.under_way.front() {
            let reply = self.messages.reply(*op, *key);
            let Some(found) = input[taken..].get(..reply.len()) else {
                break;
            };
            check(found, reply);
            took(*since);
            taken += reply.len();
            connection.under_way.pop_front();
        }
        input.drain(..taken);
        Ok(())
    }
}

fn check(found: &[u8], reply: &[u8]) {
    assert!(
        found == reply,
        "received {:?} instead of {:?}",
        String::from_utf8_lossy(found),
        String::from_utf8_lossy(reply),
    );
}

/// Encodes requests and the replies that they should get.
struct Messages {
    protocol: Protocol,
    /// The part of a value that follows the number of its key.
    padding: String,
    key: String,
    value: String,
    body: String,
    message: Vec<u8>,
}

impl Messages {
    fn new(protocol: Protocol, load: &Load) -> Messages {
        Messages {
            protocol,
            padding: "x".repeat(load.value_bytes - DIGITS),
            key: String::new(),
            value: String::new(),
            body: String::new(),
            message: Vec::new(),
        }
    }

    fn request(&mut self, op: Op, number: u32) -> &[u8] {
        self.prepare(number);
        let Messages {
            key, value, body, ..
        } = self;
        let (k, v) = (key.len(), value.len());
        let written = match (self.protocol, op) {
            (Protocol::Kvs, Op::Get) => write!(body, r#"{{"Get":{{"key":"{key}"}}}}"#),
            (Protocol::Kvs, Op::Set) => {
                write!(body, r#"{{"Set":{{"key":"{key}","value":"{value}"}}}}"#)
            }
            (Protocol::Redis, Op::Get) => {
                write!(body, "*2\r\n$3\r\nGET\r\n${k}\r\n{key}\r\n")
            }
            (Protocol::Redis, Op::Set) => {
                write!(
                    body,
                    "*3\r\n$3\r\nSET\r\n${k}\r\n{key}\r\n${v}\r\n{value}\r\n"
                )
            }
        };
        written.expect("a string takes everything");
        self.enclose()
    }

    fn reply(&mut self, op: Op, number: u32) -> &[u8] {
        self.prepare(number);
        let Messages { value, body, .. } = self;
        let written = match (self.protocol, op) {
            (Protocol::Kvs, Op::Get) => write!(body, r#"{{"Get":"{value}"}}"#),
            (Protocol::Kvs, Op::Set) => write!(body, r#""Set""#),
            (Protocol::Redis, Op::Get) => write!(body, "${}\r\n{value}\r\n", value.len()),
            (Protocol::Redis, Op::Set) => write!(body, "+OK\r\n"),
        };
        written.expect("a string takes everything");
        self.enclose()
    }

    /// Prepares a key and its value, which is always the same.
    fn prepare(&mut self, number: u32) {
        let Messages {
            key, value, body, ..
        } = self;
        for buffer in [&mut *key, &mut *value, &mut *body] {
            buffer.clear();
        }
        let written = write!(key, "key:{number:0DIGITS$}");
        written
            .and_then(|()| write!(value, "{number:0DIGITS$}{}", self.padding))
            .expect("a string takes everything");
    }

    fn enclose(&mut self) -> &[u8] {
        let Messages { body, message, .. } = self;
        message.clear();
        if self.protocol == Protocol::Kvs {
            message.extend_from_slice(&(body.len() as u32).to_be_bytes());
        }
        message.extend_from_slice(body.as_bytes());
        message
    }
}
