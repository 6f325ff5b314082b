//! The cost of an idle connection: `cargo bench --bench idle`.
//!
//! Ten thousand connections to a real server send one request each. Then the benchmark reads the
//! memory of the server's process (Linux only). `KVS_CONNECTIONS` sets another number.

#[path = "../tests/common/mod.rs"]
mod common;

use std::time::Instant;

use common::{ServerProcess, Wire, memory, number};
use kvs::client::blocking::KvsClient;

fn main() {
    let connections = number("KVS_CONNECTIONS", 10_000);
    // This process needs a descriptor for each connection, as the server does. The server raises
    // its own limit.
    let limit = rlimit::increase_nofile_limit(connections + 100).unwrap();
    assert!(
        limit >= connections + 100,
        "only {limit} descriptors (ulimit -n)"
    );
    let dir = tempfile::tempdir().unwrap();
    let flag = format!("--max-connections={}", connections + 1);
    let server = ServerProcess::start(dir.path(), &[&flag]);
    let mut watcher = KvsClient::connect(server.addr).unwrap();

    let before = memory(server.id(), "VmRSS");
    let start = Instant::now();
    let idle: Vec<_> = (0..connections)
        .map(|_| {
            let mut client = Wire::connect(server.addr);
            client.send(r#"{"Set":{"key":"k","value":"v"}}"#);
            client.receive();
            client
        })
        .collect();
    let time = start.elapsed();
    let after = memory(server.id(), "VmRSS");
    assert_eq!(watcher.stats().unwrap().connections, connections + 1);
    let each = (after - before) / connections;
    println!("{connections} connections, each with one request, in {time:.1?}");
    println!("{each} bytes of the server's memory each, {after} in all");
    drop(idle);
    while watcher.stats().unwrap().connections > 1 {}
    println!("{} bytes when they are gone", memory(server.id(), "VmRSS"));
}
