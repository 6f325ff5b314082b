//! The real server among hundreds of peers, most of them hostile, and what they leave behind.
//!
//! `KVS_SOAK_SECONDS=600 KVS_SEED=1 cargo test --test soak -- --nocapture` goes on for longer, with
//! other peers. What each of them sends follows from the seed; how they meet does not.

// It looks at the server's process through /proc.
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;

use std::collections::{BTreeMap, VecDeque};
use std::env;
use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use common::{ServerProcess, Wire, frame, memory};
use kvs::client::blocking::KvsClient;
use kvs::protocol::Stats;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use socket2::{Domain, Socket, Type};

/// How long a good client waits for a reply at most, whatever the others do.
const PATIENCE: Duration = Duration::from_secs(20);

const GOOD: u64 = 4;
const HOSTILE_THREADS: u64 = 4;
const HOSTILE_PER_THREAD: usize = 75;

const MAX_FRAME: usize = 256 * 1024;
const MAX_CONNECTIONS: usize = 250;
const SHUTDOWN_TIME: Duration = Duration::from_secs(5);

/// Those who ask for more than there is.
const PEERS: usize = 100;
const MAX_MEMORY: usize = 4 * 1024 * 1024;

fn number(name: &str, default: u64) -> u64 {
    env::var(name).map_or(default, |number| number.parse().unwrap())
}

fn set(key: &str, value: &str) -> String {
    format!(r#"{{"Set":{{"key":"{key}","value":"{value}"}}}}"#)
}

fn get(key: &str) -> String {
    format!(r#"{{"Get":{{"key":"{key}"}}}}"#)
}

fn remove(key: &str) -> String {
    format!(r#"{{"Remove":{{"key":"{key}"}}}}"#)
}

/// A client that knows what each reply has to be, since nobody else has its keys.
struct Good {
    name: u64,
    wire: Wire,
    model: BTreeMap<String, String>,
    slowest: Duration,
}

impl Good {
    fn connect(addr: SocketAddr, name: u64) -> Good {
        Good {
            name,
            wire: Wire::new(TcpStream::connect(addr).unwrap(), PATIENCE),
            model: BTreeMap::new(),
            slowest: Duration::ZERO,
        }
    }

    /// Sends a few requests at once, and checks their replies. It is modest enough to do with the
    /// memory that a connection has in any case.
    fn exchange(&mut self, rng: &mut SmallRng) {
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

    /// The reply to a `Get`.
    fn value(&self, key: &str) -> String {
        match self.model.get(key) {
            Some(value) => format!(r#"{{"Get":"{value}"}}"#),
            None => r#"{"Get":null}"#.to_owned(),
        }
    }

    fn check_all(&mut self) {
        for n in 0..50 {
            let key = format!("good {} {n}", self.name);
            self.wire.send(&get(&key));
            assert_eq!(self.wire.receive(), self.value(&key));
        }
    }
}

/// A peer that does a little of its mischief at a time, and never waits.
struct Hostile {
    socket: TcpStream,
    script: Vec<u8>,
    sent: usize,
    /// How many bytes it sends at a time.
    step: usize,
    reads: bool,
    /// How often it looks in after it has sent everything.
    stays: u32,
    closes_half: bool,
}

impl Hostile {
    fn connect(addr: SocketAddr, rng: &mut SmallRng) -> Hostile {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        if rng.random_ratio(1, 2) {
            // What it does not read is soon the server's to hold.
            socket.set_recv_buffer_size(4096).unwrap();
        }
        if rng.random_ratio(1, 4) {
            // Its close is a reset.
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

    /// Says whether it stays.
    fn act(&mut self) -> bool {
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

/// What a hostile peer sends.
fn script(rng: &mut SmallRng) -> Vec<u8> {
    match rng.random_range(0..15) {
        // Nothing at all.
        0 => Vec::new(),
        // Noise.
        1 => random_bytes(rng, 10_000),
        2 => {
            let noise = random_bytes(rng, 10_000);
            frame(noise)
        }
        // Frames that are long, too long, and longer than there is memory.
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
        // Another protocol.
        5 => b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(),
        6 => [
            &b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"[..],
            &[7; 500],
        ]
        .concat(),
        // Not quite JSON, or not quite a request.
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
        // Requests that are large, or many.
        10 => frame(set(&"k".repeat(100_000), "v")),
        11 => frame(get("long")).repeat(rng.random_range(1..20)),
        12 => frame(set("hostile", &"v".repeat(20_000))).repeat(rng.random_range(1..20)),
        // Requests with a few bytes changed.
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

#[test]
fn half_sent_frames_take_no_more_memory_than_the_server_may() {
    let dir = tempfile::tempdir().unwrap();
    let flag = format!("--max-memory={MAX_MEMORY}");
    let server = ServerProcess::start(dir.path(), &[&flag]);
    let mut good = KvsClient::connect(server.addr).unwrap();
    good.set("k".to_owned(), "v".to_owned()).unwrap();
    let before = memory(server.id(), "VmRSS");
    let frame = frame(vec![b' '; 1_000_000]);
    let mut peers: Vec<_> = (0..PEERS).map(|_| Wire::connect(server.addr)).collect();
    for peer in &mut peers {
        // Those that are too many are closed before all of it has gone.
        let _ = peer.0.write_all(&frame[..900_000]);
    }
    wait_for_those_who_fit(&mut good);
    assert_eq!(good.get("k".to_owned()).unwrap().as_deref(), Some("v"));
    let highest = memory(server.id(), "VmHWM") - before;
    println!("{} KiB more at most", highest / 1024);
    assert!(highest < memory_bound(MAX_MEMORY, PEERS));
}

#[test]
fn replies_that_nobody_takes_take_no_more_memory_than_the_server_may() {
    let dir = tempfile::tempdir().unwrap();
    let flag = format!("--max-memory={MAX_MEMORY}");
    let server = ServerProcess::start(dir.path(), &[&flag]);
    let mut good = KvsClient::connect(server.addr).unwrap();
    good.set("long".to_owned(), "x".repeat(1_000_000)).unwrap();
    good.set("k".to_owned(), "v".to_owned()).unwrap();
    let before = memory(server.id(), "VmRSS");
    let peers: Vec<_> = (0..PEERS)
        .map(|_| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_recv_buffer_size(4096).unwrap();
            socket.connect(&server.addr.into()).unwrap();
            let mut peer = TcpStream::from(socket);
            peer.write_all(&frame(get("long")).repeat(5)).unwrap();
            peer
        })
        .collect();
    // More than the system buffers.
    wait_for_those_who_fit(&mut good);
    assert_eq!(good.get("k".to_owned()).unwrap().as_deref(), Some("v"));
    let highest = memory(server.id(), "VmHWM") - before;
    println!("{} KiB more at most", highest / 1024);
    assert!(highest < memory_bound(MAX_MEMORY, PEERS));
    drop(peers);
}

#[test]
fn good_clients_are_served_among_hundreds_of_hostile_ones() {
    let seconds = number("KVS_SOAK_SECONDS", 8);
    let seed = number("KVS_SEED", 1);
    println!("KVS_SEED={seed}");
    let dir = tempfile::tempdir().unwrap();
    let flags = [
        ("--max-frame", MAX_FRAME),
        ("--max-in-flight", 64),
        ("--max-connections", MAX_CONNECTIONS),
        ("--max-memory", 1024 * 1024),
        ("--network-threads", 2),
        ("--frame-time", 1),
        ("--reply-time", 1),
        ("--shutdown-time", SHUTDOWN_TIME.as_secs() as usize),
    ];
    let flags = flags.map(|(flag, value)| format!("{flag}={value}"));
    let mut server = ServerProcess::start(dir.path(), &flags.each_ref().map(String::as_str));
    let addr = server.addr;
    let mut watcher = KvsClient::connect(addr).unwrap();
    watcher.set("long".to_owned(), "x".repeat(100_000)).unwrap();
    let before = memory(server.id(), "VmRSS");
    let mut good: Vec<_> = (0..GOOD).map(|name| Good::connect(addr, name)).collect();
    for good in &mut good {
        // It has its place now.
        good.check_all();
    }

    let deadline = Instant::now() + Duration::from_secs(seconds);
    let is_over = AtomicBool::new(false);
    let (exchanges, peers) = thread::scope(|scope| {
        let hostile: Vec<_> = (0..HOSTILE_THREADS)
            .map(|n| {
                let mut rng = SmallRng::seed_from_u64(seed * 1000 + n);
                let is_over = &is_over;
                scope.spawn(move || {
                    let mut peers = Vec::new();
                    let mut connected = 0;
                    while !is_over.load(Ordering::Relaxed) {
                        if peers.len() < HOSTILE_PER_THREAD {
                            peers.push(Hostile::connect(addr, &mut rng));
                            connected += 1;
                        }
                        peers.retain_mut(Hostile::act);
                        // They are hostile to the server, and not to this machine.
                        thread::sleep(Duration::from_millis(2));
                    }
                    connected
                })
            })
            .collect();
        let good: Vec<_> = good
            .iter_mut()
            .map(|good| {
                let mut rng = SmallRng::seed_from_u64(seed * 1000 + 500 + good.name);
                scope.spawn(move || {
                    let mut exchanges = 0;
                    while Instant::now() < deadline {
                        good.exchange(&mut rng);
                        exchanges += 1;
                    }
                    exchanges
                })
            })
            .collect();
        let exchanges: Vec<_> = good.into_iter().map(ScopedJoinHandle::join).collect();
        is_over.store(true, Ordering::Relaxed);
        let exchanges: u64 = exchanges.into_iter().map(Result::unwrap).sum();
        let peers: u64 = hostile.into_iter().map(|n| n.join().unwrap()).sum();
        (exchanges, peers)
    });

    let slowest = good.iter().map(|good| good.slowest).max().unwrap();
    println!("{exchanges} exchanges, the slowest took {slowest:?}; {peers} hostile peers");
    wait_for(&mut watcher, |stats| stats.connections == 1 + GOOD);
    // How many there were at a time was up to the machine. Now it is one too many.
    let mut crowd: Vec<_> = (0..MAX_CONNECTIONS - GOOD as usize)
        .map(|_| Wire::connect(addr))
        .collect();
    let told = crowd.last_mut().unwrap().receive();
    assert!(told.contains("too_many_connections"), "{told}");
    drop(crowd);
    let stats = wait_for(&mut watcher, |stats| stats.connections == 1 + GOOD);
    println!("{stats}");
    let highest = memory(server.id(), "VmHWM") - before;
    println!("memory: {} KiB more at most", highest / 1024);
    assert!(highest < memory_bound(1024 * 1024, MAX_CONNECTIONS));
    // All limits were met.
    for code in [
        "bad_request",
        "frame_too_long",
        "overloaded",
        "too_large",
        "too_many_connections",
        "too_slow",
    ] {
        assert!(stats.errors.contains_key(code), "nobody met {code}");
    }
    for good in &mut good {
        good.check_all();
    }
    let start = Instant::now();
    assert_eq!(server.stop("TERM"), Some(0));
    assert!(start.elapsed() < 2 * SHUTDOWN_TIME);
}

/// What connections could leave behind in a process.
#[derive(Debug)]
struct Leftovers {
    sockets: usize,
    threads: usize,
    memory: u64,
}

impl Leftovers {
    fn of(pid: u32) -> Leftovers {
        let entries = |what| fs::read_dir(format!("/proc/{pid}/{what}")).unwrap();
        // Other descriptors are the engine's.
        let links = entries("fd").filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
        let sockets = links.filter(|link| link.to_string_lossy().starts_with("socket:"));
        Leftovers {
            sockets: sockets.count(),
            threads: entries("task").count(),
            memory: memory(pid, "VmRSS"),
        }
    }
}

/// Has peers connect and go in every way, a few dozen at a time.
fn churn(addr: SocketAddr, peers: usize) {
    let mut open = VecDeque::new();
    for n in 0..peers {
        let mut peer = Wire::connect(addr);
        let mut send = |bytes: &[u8]| peer.0.write_all(bytes).unwrap();
        match n % 8 {
            0 => {}
            // Half a frame, short and long.
            1 => send(&frame(get("long"))[..7]),
            2 => send(&frame(vec![b' '; 50_000])[..40_000]),
            // A reply that it does not wait for, many that it does not, and one that it does.
            3 => send(&frame(get("long"))),
            4 => send(&frame(set("k", "v")).repeat(100)),
            5 => {
                peer.send(&set("k", "v"));
                assert_eq!(peer.receive(), r#""Set""#);
            }
            // The end of its half, and of the connection from the other side.
            6 => peer.0.shutdown(Shutdown::Write).unwrap(),
            _ => send(&[0xff; 1000]),
        }
        open.push_back(peer);
        if open.len() > 30 {
            open.pop_front();
        }
    }
}

#[test]
fn connections_leave_nothing_behind() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    let mut good = KvsClient::connect(server.addr).unwrap();
    good.set("long".to_owned(), "x".repeat(50_000)).unwrap();
    let mut churn = |peers| {
        churn(server.addr, peers);
        wait_for(&mut good, |stats| stats.connections == 1);
        Leftovers::of(server.id())
    };
    // The allocator has what it needs after that.
    let before = churn(1000);
    let after = churn(3000);
    println!("{before:?}, {after:?}");
    assert_eq!(before.sockets, after.sockets);
    assert_eq!(before.threads, after.threads);
    // Not even half a kilobyte each.
    assert!(after.memory < before.memory + 3000 * 512);
}

#[test]
fn a_connection_that_was_busy_and_is_idle_costs_kilobytes() {
    const CONNECTIONS: usize = 300;
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    let burst = frame(set("k", "v")).repeat(100);
    let connect = |_| {
        let mut client = Wire::connect(server.addr);
        client.0.write_all(&burst).unwrap();
        for _ in 0..100 {
            assert_eq!(client.receive(), r#""Set""#);
        }
        client
    };
    let _first: Vec<_> = (0..50).map(connect).collect();
    let before = memory(server.id(), "VmRSS");
    let _idle: Vec<_> = (0..CONNECTIONS).map(connect).collect();
    let each = (memory(server.id(), "VmRSS") - before) / CONNECTIONS as u64;
    println!("{each} bytes each");
    assert!(each < 6 * 1024);
}

#[test]
fn the_memory_of_a_burst_of_long_values_is_given_back() {
    const CONNECTIONS: usize = 16;
    const FEW: u64 = 12 * 1024 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[]);
    let addr = server.addr;
    KvsClient::connect(addr).unwrap().stats().unwrap();
    let before = memory(server.id(), "VmRSS");
    let burst = |n: usize| {
        thread::spawn(move || {
            let mut client = KvsClient::connect(addr).unwrap();
            // Of different lengths, so that they leave gaps of different lengths.
            let value = "v".repeat(2_000_000 + n * 100_000);
            client.set(n.to_string(), value.clone()).unwrap();
            assert_eq!(client.get(n.to_string()).unwrap(), Some(value));
            client
        })
    };
    let bursts: Vec<_> = (0..CONNECTIONS).map(burst).collect();
    // The clients stay connected.
    let _idle: Vec<_> = bursts
        .into_iter()
        .map(|burst| burst.join().unwrap())
        .collect();
    // The server gives it back within a second or so, but this machine may be busy.
    let deadline = Instant::now() + Duration::from_secs(5);
    loop {
        let kept = memory(server.id(), "VmRSS").saturating_sub(before);
        if kept < FEW {
            break;
        }
        assert!(Instant::now() < deadline, "the server keeps {kept} bytes");
        thread::yield_now();
    }
}

/// Waits until the server is as it should be.
fn wait_for(client: &mut KvsClient, is_so: impl Fn(&Stats) -> bool) -> Stats {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let stats = client.stats().unwrap();
        if is_so(&stats) {
            return stats;
        }
        assert!(Instant::now() < deadline, "{stats}");
    }
}

/// Waits until no more of [`PEERS`] are left than there is memory for, of which each needs almost
/// a megabyte.
fn wait_for_those_who_fit(good: &mut KvsClient) {
    wait_for(good, |stats| {
        let are_all_here = stats.connections_accepted == 1 + PEERS as u64;
        are_all_here && stats.connections <= 1 + MAX_MEMORY as u64 / 900_000
    });
}

/// How much memory connections may cost a server.
fn memory_bound(max_memory: usize, connections: usize) -> u64 {
    // Each core has three threads with a value or two in hand.
    let cores = thread::available_parallelism().map_or(1, usize::from);
    (max_memory + connections * 32 * 1024 + cores * 8 * 1024 * 1024) as u64
}
