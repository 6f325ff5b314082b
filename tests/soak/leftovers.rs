//! Connections leave no memory, threads or descriptors behind.

use std::collections::VecDeque;
use std::fs;
use std::io::Write;
use std::net::{Shutdown, SocketAddr};

use kvs::client::blocking::KvsClient;

use super::{get, set};
use crate::common::{ServerProcess, Wire, frame, memory, wait_for_stats};

/// The resources of a process that connections could leave in use.
#[derive(Debug)]
struct Leftovers {
    sockets: usize,
    threads: usize,
    memory: u64,
}

impl Leftovers {
    fn of(pid: u32) -> Leftovers {
        let entries = |dir| fs::read_dir(format!("/proc/{pid}/{dir}")).unwrap();
        // Other descriptors belong to the engine.
        let links = entries("fd").filter_map(|fd| fs::read_link(fd.unwrap().path()).ok());
        let sockets = links.filter(|link| link.to_string_lossy().starts_with("socket:"));
        Leftovers {
            sockets: sockets.count(),
            threads: entries("task").count(),
            memory: memory(pid, "VmRSS"),
        }
    }
}

/// Connects and drops peers in every way, a few dozen at a time.
fn churn(addr: SocketAddr, peers: usize) {
    let mut open = VecDeque::new();
    for n in 0..peers {
        let mut peer = Wire::connect(addr);
        let mut send = |bytes: &[u8]| peer.0.write_all(bytes).unwrap();
        match n % 8 {
            0 => {}
            // Part of a frame, short and long.
            1 => send(&frame(get("long"))[..7]),
            2 => send(&frame(vec![b' '; 50_000])[..40_000]),
            // The peer does not wait for its reply, or for its many replies, or waits for one.
            3 => send(&frame(get("long"))),
            4 => send(&frame(set("k", "v")).repeat(100)),
            5 => {
                peer.send(&set("k", "v"));
                assert_eq!(peer.receive(), r#""Set""#);
            }
            // The peer shuts down its half, or the server closes the connection.
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
        wait_for_stats(&mut good, |stats| stats.connections == 1);
        Leftovers::of(server.id())
    };
    // After the first peers, the allocator has its working memory.
    let before = churn(1000);
    let after = churn(3000);
    println!("{before:?}, {after:?}");
    assert_eq!(before.sockets, after.sockets);
    assert_eq!(before.threads, after.threads);
    // Less than half a kilobyte for each peer.
    assert!(after.memory < before.memory + 3000 * 512);
}
