//! The real server among hundreds of peers, most of them hostile, and what they leave behind.
//!
//! `KVS_SOAK_SECONDS=600 KVS_SEED=1 cargo test --test soak -- --nocapture` goes on for longer, with
//! other peers. What each of them sends follows from the seed; how they meet does not.
// It looks at the server's process through /proc.
#![cfg(target_os = "linux")]

#[path = "../common/mod.rs"]
mod common;
mod leftovers;
mod memory_limit;
mod peers;

use std::env;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use common::{ServerProcess, Wire, memory};
use kvs::client::blocking::KvsClient;
use kvs::protocol::Stats;
use rand::SeedableRng;
use rand::rngs::SmallRng;

use self::peers::{Good, Hostile};

/// How long a good client waits for a reply at most, whatever the others do.
const PATIENCE: Duration = Duration::from_secs(20);

const GOOD: u64 = 4;

const HOSTILE_THREADS: u64 = 4;

const HOSTILE_PER_THREAD: usize = 75;

const MAX_FRAME: usize = 256 * 1024;

const MAX_CONNECTIONS: usize = 250;

const SHUTDOWN_TIME: Duration = Duration::from_secs(5);

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

/// How much memory connections may cost a server.
fn memory_bound(max_memory: usize, connections: usize) -> u64 {
    // Each core has three threads with a value or two in hand.
    let cores = thread::available_parallelism().map_or(1, usize::from);
    (max_memory + connections * 32 * 1024 + cores * 8 * 1024 * 1024) as u64
}
