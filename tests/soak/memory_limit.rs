//! The memory that requests and replies may take.

use std::io::Write;
use std::net::TcpStream;
use std::thread;
use std::time::Instant;

use kvs::client::blocking::KvsClient;
use socket2::{Domain, Socket, Type};

use super::{get, memory_bound, set};
use crate::common::{PATIENCE, ServerProcess, Wire, frame, memory, wait_for_stats};

/// Peers that together need more memory than the server may use.
const PEERS: usize = 100;
const MAX_MEMORY: usize = 4 * 1024 * 1024;

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
        // The server closes some of these peers before it has read everything.
        let _ = peer.0.write_all(&frame[..900_000]);
    }
    wait_for_those_that_fit(&mut good);
    assert_eq!(good.get("k".to_owned()).unwrap().as_deref(), Some("v"));
    let highest = memory(server.id(), "VmHWM") - before;
    println!("{} KiB more at most", highest / 1024);
    assert!(highest < memory_bound(MAX_MEMORY, PEERS));
}

#[test]
fn unread_replies_take_no_more_memory_than_the_server_may() {
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
    // Each peer asks for more than the system buffers.
    wait_for_those_that_fit(&mut good);
    assert_eq!(good.get("k".to_owned()).unwrap().as_deref(), Some("v"));
    let highest = memory(server.id(), "VmHWM") - before;
    println!("{} KiB more at most", highest / 1024);
    assert!(highest < memory_bound(MAX_MEMORY, PEERS));
    drop(peers);
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
            // Values of different lengths leave gaps of different lengths.
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
    // The server gives the memory back within about a second, but this machine may be busy.
    let deadline = Instant::now() + PATIENCE;
    loop {
        let kept = memory(server.id(), "VmRSS").saturating_sub(before);
        if kept < FEW {
            break;
        }
        assert!(Instant::now() < deadline, "the server keeps {kept} bytes");
        thread::yield_now();
    }
}

/// A short batch is committed on a network thread, and a long one on a thread of the pool.
#[test]
fn the_cache_takes_no_more_memory_if_other_threads_put_values_into_it() {
    const CACHE: usize = 32 * 1024 * 1024;
    const LEN: usize = 4000;
    const MORE: u64 = CACHE as u64 / 2;
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &[&format!("--cache={CACHE}")]);
    let mut client = Wire::connect(server.addr);
    let value = "v".repeat(LEN);
    // Sets as many values as the cache can have and half as many again, `together` in a batch.
    let mut fill = |name: &str, together: usize| {
        for first in (0..CACHE * 3 / 2 / LEN).step_by(together) {
            let sets = (first..first + together).map(|n| frame(set(&format!("{name}{n}"), &value)));
            client
                .0
                .write_all(&sets.collect::<Vec<_>>().concat())
                .unwrap();
            for _ in 0..together {
                assert_eq!(client.receive(), r#""Set""#);
            }
        }
        memory(server.id(), "VmRSS")
    };
    let before = fill("short", 10);
    let after = fill("long", 200);
    let more = after.saturating_sub(before);
    println!("{} KiB more", more / 1024);
    assert!(more < MORE);
}

/// Waits until all of [`PEERS`] have connected and only those are left that fit into the memory.
/// Each of them needs almost a megabyte.
fn wait_for_those_that_fit(good: &mut KvsClient) {
    wait_for_stats(good, |stats| {
        let are_all_here = stats.connections_accepted == 1 + PEERS as u64;
        are_all_here && stats.connections <= 1 + MAX_MEMORY as u64 / 900_000
    });
}
