//! Good clients, which check every reply, and hostile peers.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rand::RngExt;
use rand::rngs::SmallRng;
use socket2::{Domain, Socket, Type};

use super::{MAX_FRAME, get, remove, set};
use crate::common::{PATIENCE, Wire, frame};

/// A client that knows every reply in advance, because no other client uses its keys.
pub struct Good {
    pub name: u64,
    wire: Wire,
    model: BTreeMap<String, String>,
    pub slowest: Duration,
}

impl Good {
    pub fn connect(addr: SocketAddr, name: u64) -> Good {
        Good {
            name,
            wire: Wire::new(TcpStream::connect(addr).unwrap(), PATIENCE),
            model: BTreeMap::new(),
            slowest: Duration::ZERO,
        }
    }

    /// Sends a few requests at once, and checks their replies. They fit into the memory that every
    /// connection has.
    pub fn exchange(&mut self, rng: &mut SmallRng) {
        let mut requests = Vec::new();
        let mut replies = Vec::new();
        for _ in 0..rng.random_range(1..10) {
            let key = format!("good {} {}", self.name, rng.random_range(0..50));
            let (request, reply) = match rng.random_range(0..5) {
                0 | 1 => {
                    let value = "v".repeat(rng.random_range(0..500));
                    let request = set(&key, &value);
                    self.model.insert(key, value);
                    (request, r#""Set""#.to_owned())
                }
                2 => match self.model.remove(&key) {
                    Some(_) => (remove(&key), r#""Remove""#.to_owned()),
                    None => {
                        let error = r#"{"Err":{"code":"key_not_found","message":"Key not found"}}"#;
                        (remove(&key), error.to_owned())
                    }
                },
                _ => (get(&key), self.value(&key)),
            };
            requests.extend(frame(request));
            replies.push(reply);
        }
        let start = Instant::now();
        self.wire.0.write_all(&requests).unwrap();
        for expected in replies {
            assert_eq!(self.wire.receive(), expected);
        }
        self.slowest = self.slowest.max(start.elapsed());
    }

    /// Returns the reply to a `Get`.
    fn value(&self, key: &str) -> String {
        match self.model.get(key) {
            Some(value) => format!(r#"{{"Get":"{value}"}}"#),
            None => r#"{"Get":null}"#.to_owned(),
        }
    }

    pub fn check_all(&mut self) {
        for n in 0..50 {
            let key = format!("good {} {n}", self.name);
            self.wire.send(&get(&key));
            assert_eq!(self.wire.receive(), self.value(&key));
        }
    }
}

/// A peer that sends a little of its script at a time, and never waits.
pub struct Hostile {
    socket: TcpStream,
    script: Vec<u8>,
    sent: usize,
    /// The number of bytes that it sends at a time.
    step: usize,
    reads: bool,
    /// The number of calls of [`Hostile::act`] after which it leaves, once it has sent everything.
    stays: u32,
    closes_half: bool,
}

impl Hostile {
    pub fn connect(addr: SocketAddr, rng: &mut SmallRng) -> Hostile {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if rng.random_ratio(1, 2) {
            // With a small buffer, the server soon holds the replies that the peer does not read.
            socket.set_recv_buffer_size(4096).unwrap();
        }
        if rng.random_ratio(1, 4) {
            // Closing this socket resets the connection.
            socket.set_linger(Some(Duration::ZERO)).unwrap();
        }
        socket.connect_timeout(&addr.into(), PATIENCE).unwrap();
        socket.set_nonblocking(true).unwrap();
        let mut script = script(rng);
        if rng.random_ratio(1, 4) {
            script.truncate(rng.random_range(0..=script.len()));
        }
        let is_slow = rng.random_ratio(1, 4);
        Hostile {
            socket: socket.into(),
            script,
            sent: 0,
            step: if is_slow { 1 } else { 1_000_000 },
            reads: rng.random_ratio(2, 3),
            stays: match rng.random_range(0..3) {
                0 => 0,
                1 => rng.random_range(0..100),
                _ => 10_000,
            },
            closes_half: rng.random_ratio(1, 4),
        }
    }

    /// Sends or reads a little. Returns whether the peer stays connected.
    pub fn act(&mut self) -> bool {
        let would_block = |error: std::io::Error| match error.kind() {
            ErrorKind::WouldBlock => Some(1),
            _ => None,
        };
        if self.reads {
            let read = self.socket.read(&mut [0; 16 * 1024]);
            if matches!(read.map_or_else(would_block, Some), None | Some(0)) {
                return false;
            }
        }
        if self.sent < self.script.len() {
            let end = self.script.len().min(self.sent + self.step);
            return match self.socket.write(&self.script[self.sent..end]) {
                Ok(n) => {
                    self.sent += n;
                    true
                }
                Err(error) => would_block(error).is_some(),
            };
        }
        if self.closes_half {
            self.closes_half = false;
            return self.socket.shutdown(Shutdown::Write).is_ok();
        }
        self.stays = self.stays.saturating_sub(1);
        self.stays > 0
    }
}

/// Returns the bytes that a hostile peer sends.
fn script(rng: &mut SmallRng) -> Vec<u8> {
    match rng.random_range(0..15) {
        // No bytes.
        0 => Vec::new(),
        // Random bytes.
        1 => random_bytes(rng, 10_000),
        2 => {
            let noise = random_bytes(rng, 10_000);
            frame(noise)
        }
        // Frames that are long, too long, or longer than the memory of the server.
        3 => {
            let too_long = [MAX_FRAME as u32 + 1, 1 << 24, 1 << 31, u32::MAX];
            let len = too_long[rng.random_range(0..too_long.len())].to_be_bytes();
            [&len[..], &[b'x'; 1000]].concat()
        }
        4 => frame(vec![b' '; 100_000]),
        14 => {
            let mut frame = frame(vec![b' '; MAX_FRAME]);
            frame.pop();
            frame
        }
        // Other protocols.
        5 => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        6 => [
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            &[7; 500],
        ]
        .concat(),
        // Almost JSON, or almost a request.
        7 => {
            let open = ["[", "{\"a\":", "{\"Get\":{\"key\":["][rng.random_range(0..3)];
            frame(open.repeat(5_000))
        }
        8 => [
            &b"{\"Get\":{\"key\":\"\xff\xfe\"}}"[..],
            b"{\"Get\":{\"key\":\"\\ud800\"}}",
            b"{\"Get\":{\"key\":7}}",
            b"{\"Get\":[[]]}",
            b"{\"Set\":{\"key\":\"k\",\"value\":null}}",
            b"{\"Set\":\"k\"}",
            b"\"Stats\"",
            b"{\"Auth\":{\"token\":\"guess\"}}",
            b"null",
            b"1e999999999",
        ]
        .map(frame)
        .concat(),
        9 => frame("").repeat(1000),
        // Long requests, or many.
        10 => frame(set(&"k".repeat(100_000), "v")),
        11 => frame(get("long")).repeat(rng.random_range(1..20)),
        12 => frame(set("hostile", &"v".repeat(20_000))).repeat(rng.random_range(1..20)),
        // Requests with a few changed bytes.
        _ => {
            let requests = [set("hostile", "v"), get("long"), remove("hostile")];
            let mut script = requests.map(frame).concat().repeat(5);
            for _ in 0..rng.random_range(0..4) {
                let at = rng.random_range(0..script.len());
                script[at] = rng.random();
            }
            script
        }
    }
}

fn random_bytes(rng: &mut SmallRng, max: usize) -> Vec<u8> {
    (0..rng.random_range(0..max))
        .map(|_| rng.random())
        .collect()
}
