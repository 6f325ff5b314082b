//! Limits on connections, descriptors and memory.

use std::io::Write;
use std::thread;
use std::time::Duration;

use futures::Future;
use kvs::client::blocking::KvsClient;
use kvs::server::Limits;
use kvs::{KvsEngine, KvsServer};
use tempfile::TempDir;

use super::{GET_K, serve, wait_for_connections};
use crate::common::{ServerProcess, Store, TestServer, Wire, frame};

/// Serves a store in which the key `k` has a value of `len` bytes.
fn serve_value(len: usize, limits: Limits) -> (TempDir, TestServer) {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), 2).unwrap();
    store.set("k".to_owned(), "x".repeat(len)).wait().unwrap();
    let server = TestServer::serve(KvsServer::new(store).limits(limits));
    (dir, server)
}

#[test]
fn limits_may_be_as_small_and_as_large_as_can_be() {
    // The longest time that exists, and one that is only too long for a timer.
    for time in [Duration::MAX, Duration::from_secs(1 << 30)] {
        let mut limits = Limits::default();
        limits.in_flight = 0;
        limits.frame_time = time;
        limits.reply_time = time;
        limits.shutdown_time = time;
        limits.connections = usize::MAX;
        limits.memory_bytes = usize::MAX;
        limits.frame_bytes = usize::MAX;
        limits.threads = 0;
        let (_dir, server) = serve(limits);
        let mut client = Wire::connect(server.addr);
        let mut other = KvsClient::connect(server.addr).unwrap();
        let frame = frame(GET_K);
        let (beginning, end) = frame.split_at(7);
        client.0.write_all(beginning).unwrap();
        for _ in 0..10 {
            assert_eq!(other.get("k".to_owned()).unwrap(), None);
        }
        client.0.write_all(end).unwrap();
        assert_eq!(client.receive(), r#"{"Get":null}"#);
    }
}

#[test]
fn a_connection_too_many_is_refused_until_another_one_ends() {
    let mut limits = Limits::default();
    limits.connections = 2;
    let (_dir, server) = serve(limits);
    let mut first = KvsClient::connect(server.addr).unwrap();
    let mut second = KvsClient::connect(server.addr).unwrap();
    assert_eq!(first.get("k".to_owned()).unwrap(), None);
    assert_eq!(second.get("k".to_owned()).unwrap(), None);
    let mut third = Wire::connect(server.addr);
    third.expect_error("too_many_connections");
    third.expect_end();
    drop(first);
    // The server notices the drop some time later.
    let mut gets = (0..).map(|_| {
        let mut client = KvsClient::connect(server.addr)?;
        client.get("k".to_owned())
    });
    assert!(gets.any(|got| got.is_ok()));
    assert_eq!(second.get("k".to_owned()).unwrap(), None);
}

#[test]
fn only_some_refused_connections_at_a_time_receive_an_error() {
    let mut limits = Limits::default();
    limits.connections = 1;
    let (_dir, server) = serve(limits);
    let mut good = KvsClient::connect(server.addr).unwrap();
    assert_eq!(good.get("k".to_owned()).unwrap(), None);
    // Each refused peer keeps a descriptor busy until it has read the error, so the server drops
    // some without an error.
    let peers: Vec<_> = (0..100).map(|_| Wire::connect(server.addr)).collect();
    let told = peers
        .into_iter()
        .filter_map(|mut peer| peer.try_receive().ok());
    assert!((1..100).contains(&told.count()));
    assert_eq!(good.get("k".to_owned()).unwrap(), None);
}

#[test]
fn peers_leave_the_engine_the_descriptors_that_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start_with_limit(dir.path(), 64);
    let mut good = KvsClient::connect(server.addr).unwrap();
    good.set("k".to_owned(), "v".to_owned()).unwrap();
    let _many: Vec<_> = (0..200).map(|_| Wire::connect(server.addr)).collect();
    // The log continues in new files, and compaction writes others.
    let value = "x".repeat(1_000_000);
    let mut stats = good.stats().unwrap();
    while stats.engine.seconds_since_compaction.is_none() {
        good.set("long".to_owned(), value.clone()).unwrap();
        stats = good.stats().unwrap();
    }
    // Each peer without a connection received an error.
    assert!(stats.errors["too_many_connections"] > 0, "{stats}");
}

#[test]
fn memory_for_all_connections_together_has_a_limit() {
    let mut limits = Limits::default();
    limits.memory_bytes = 1024 * 1024;
    let (_dir, server) = serve(limits);
    let mut good = KvsClient::connect(server.addr).unwrap();
    let mut greedy = Wire::connect(server.addr);
    let long = frame("x".repeat(4 * 1024 * 1024));
    let mut writer = greedy.0.try_clone().unwrap();
    // The server may close the connection before it has read everything.
    let writer = thread::spawn(move || drop(writer.write_all(&long)));
    greedy.expect_error("overloaded");
    drop(greedy);
    writer.join().unwrap();
    good.set("k".to_owned(), "v".to_owned()).unwrap();
    assert_eq!(good.get("k".to_owned()).unwrap().as_deref(), Some("v"));
}

#[test]
fn a_peer_that_is_refused_for_want_of_memory_is_disconnected_soon() {
    let mut limits = Limits::default();
    limits.memory_bytes = 1024 * 1024;
    let (_dir, server) = serve(limits);
    let mut good = KvsClient::connect(server.addr).unwrap();
    let mut greedy = Wire::connect(server.addr);
    let long = frame("x".repeat(1_000_000));
    greedy.0.write_all(&long[..600_000]).unwrap();
    while good.stats().unwrap().connection_bytes < 500_000 {}
    let mut late = Wire::connect(server.addr);
    // The server may close the connection before it has read everything.
    let _ = late.0.write_all(&long[..900_000]);
    late.expect_error("overloaded");
    wait_for_connections(&mut good, 2);
}

#[test]
fn requests_that_need_little_memory_are_served_whatever_others_needed() {
    let mut limits = Limits::default();
    // So each connection has only the memory that every one may use.
    limits.memory_bytes = 0;
    limits.threads = 1;
    let (_dir, server) = serve_value(15_000, limits);
    let mut others = Wire::connect(server.addr);
    others.send(GET_K);
    // The server keeps the buffer of this reply for the next one.
    assert!(others.receive().len() > 15_000);
    let mut client = Wire::connect(server.addr);
    let set = format!(r#"{{"Set":{{"key":"key","value":"{}"}}}}"#, "v".repeat(500));
    let get = frame(r#"{"Get":{"key":"missing"}}"#);
    let requests = [get, frame(set).repeat(8)].concat();
    client.0.write_all(&requests).unwrap();
    assert_eq!(client.receive(), r#"{"Get":null}"#);
    for _ in 0..8 {
        assert_eq!(client.receive(), r#""Set""#);
    }
}

#[test]
fn values_that_the_engine_has_in_memory_count_when_they_are_sent() {
    let mut limits = Limits::default();
    limits.memory_bytes = 0;
    let (_dir, server) = serve_value(15_000, limits);
    let mut client = Wire::connect(server.addr);
    // One value fits into the memory that every connection may use, and two do not.
    client.0.write_all(&frame(GET_K).repeat(2)).unwrap();
    assert!(client.receive().len() > 15_000);
    client.expect_error("overloaded");
    client.expect_end();
}

#[test]
fn a_value_that_there_is_no_memory_for_is_not_sent() {
    let mut limits = Limits::default();
    limits.memory_bytes = 1024 * 1024;
    let (_dir, server) = serve_value(2 * 1024 * 1024, limits);
    let mut client = Wire::connect(server.addr);
    client.send(GET_K);
    client.expect_error("overloaded");
    client.expect_end();
}
