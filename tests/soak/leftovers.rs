//! Connections leave no memory, threads or descriptors behind.

use std::collections::VecDeque;
use std::fs;
use std::io::Write;
use std::net::{Shutdown, SocketAddr};

use kvs::client::blocking::KvsClient;

use super::{get, set, wait_for};
use crate::common::{ServerProcess, Wire, frame, memory};

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
