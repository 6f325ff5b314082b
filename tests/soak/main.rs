//! The real server with hundreds of peers, most of them hostile, and the resources that they leave
//! in use.
//!
//! `KVS_SOAK_SECONDS=600 KVS_SEED=1 cargo test --test soak -- --nocapture` runs for longer, with
//! other peers. The seed decides the bytes that each peer sends, but not the order in which peers
//! meet.
// The tests read `/proc` about the server's process.
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;
mod leftovers;
mod memory_limit;
mod peers;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use common::{ServerProcess, Wire, memory, number, wait_for_stats};
use kvs::client::blocking::KvsClient;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use self::peers::{Good, Hostile};

const GOOD: u64 = 4;
const HOSTILE_THREADS: u64 = 4;
const HOSTILE_PER_THREAD: usize = 75;

const MAX_FRAME: usize = 256 * 1024;
const MAX_CONNECTIONS: usize = 250;
const SHUTDOWN_TIME: Duration = Duration::from_secs(5);

fn set(key: &str, value: &str) -> String {
    format!(r#"{{"Set":{{"key":"{key}","value":"{value}"}}}}"#)
}

fn get(key: &str) -> String {
    format!(r#"{{"Get":{{"key":"{key}"}}}}"#)
}

fn remove(key: &str) -> String {
    format!(r#"{{"Remove":{{"key":"{key}"}}}}"#)
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
        // After this, the server has accepted the connection.
        good.check_all();
    }

    let duration = Duration::from_secs(seconds);
    let (exchanges, peers) = mix(addr, &mut good, duration, seed);
    let slowest = good.iter().map(|good| good.slowest).max().unwrap();
    println!("{exchanges} exchanges, the slowest took {slowest:?}; {peers} hostile peers");
    wait_for_stats(&mut watcher, |stats| stats.connections == 1 + GOOD);
    exceed_the_limit_on_connections(addr);
    let stats = wait_for_stats(&mut watcher, |stats| stats.connections == 1 + GOOD);
    println!("{stats}");
    let highest = memory(server.id(), "VmHWM") - before;
    println!("memory: {} KiB more at most", highest / 1024);
    assert!(highest < memory_bound(1024 * 1024, MAX_CONNECTIONS));
    // Some peer has exceeded each limit.
    for code in [
        "bad_request",
        "frame_too_long",
        "overloaded",
        "too_large",
        "too_many_connections",
        "too_slow",
    ] {
        assert!(stats.errors.contains_key(code), "no peer met {code}");
    }
    for good in &mut good {
        good.check_all();
    }
    let start = Instant::now();
    assert_eq!(server.stop("TERM"), Some(0));
    assert!(start.elapsed() < 2 * SHUTDOWN_TIME);
}

/// Lets the good clients exchange requests for `duration` among hostile peers. Returns the number
/// of exchanges and of hostile peers.
fn mix(addr: SocketAddr, good: &mut [Good], duration: Duration, seed: u64) -> (u64, u64) {
    let deadline = Instant::now() + duration;
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        let hostile: Vec<_> = (0..HOSTILE_THREADS)
            .map(|n| {
                let rng = SmallRng::seed_from_u64(seed * 1000 + n);
                scope.spawn(|| attack(addr, rng, &is_over))
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
        // The hostile threads end even if a good client has panicked.
        is_over.store(true, Ordering::Relaxed);
        let exchanges: u64 = exchanges.into_iter().map(Result::unwrap).sum();
        let peers: u64 = hostile.into_iter().map(|n| n.join().unwrap()).sum();
        (exchanges, peers)
    })
}

/// Keeps hostile peers connected until `is_over`, and returns their number.
fn attack(addr: SocketAddr, mut rng: SmallRng, is_over: &AtomicBool) -> u64 {
    let mut peers = Vec::new();
    let mut connected = 0;
    while !is_over.load(Ordering::Relaxed) {
        if peers.len() < HOSTILE_PER_THREAD {
            peers.push(Hostile::connect(addr, &mut rng));
            connected += 1;
        }
        peers.retain_mut(Hostile::act);
        // The peers are hostile to the server, not to this machine.
        thread::sleep(Duration::from_millis(2));
    }
    connected
}

/// Connects one peer more than the server accepts.
fn exceed_the_limit_on_connections(addr: SocketAddr) {
    let mut crowd: Vec<_> = (0..MAX_CONNECTIONS - GOOD as usize)
        .map(|_| Wire::connect(addr))
        .collect();
    let told = crowd.last_mut().unwrap().receive();
    assert!(told.contains("too_many_connections"), "{told}");
}

/// Returns the memory in bytes that connections may cost a server.
fn memory_bound(max_memory: usize, connections: usize) -> u64 {
    // Each core has three threads, which hold a value or two.
    let cores = thread::available_parallelism().map_or(1, usize::from);
    (max_memory + connections * 32 * 1024 + cores * 8 * 1024 * 1024) as u64
}
