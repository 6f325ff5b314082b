//! The server over a real socket, with the protocol written byte by byte.

mod common;

use std::collections::VecDeque;
use std::fs;
use std::io::Write;
use std::net::Shutdown;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;

use common::{ServerProcess, Store, TestServer, Wire, frame, serve, wait_for_stats, wait_until};
use futures::Future;
use futures::sync::oneshot;
use kvs::client::blocking::KvsClient;
use kvs::engine::EngineFuture;
use kvs::protocol::MAX_FRAME_LEN;
use kvs::thread_pool::{SharedQueueThreadPool, ThreadPool};
use kvs::{KvsEngine, KvsError};

#[test]
fn the_bytes_on_the_wire_are_as_documented() {
    let (_dir, server) = serve();
    let mut client = Wire::connect(server.addr);
    client.exchange(
        b"\0\0\0\x16{\"Get\":{\"key\":\"k\"}}   ",
        b"\0\0\0\x0c{\"Get\":null}",
    );
    client.exchange(
        b"\0\0\0\x1f{\"Set\":{\"key\":\"k\",\"value\":\"v\"}}",
        b"\0\0\0\x05\"Set\"",
    );
    client.exchange(
        b"\0\0\0\x13{\"Get\":{\"key\":\"k\"}}",
        b"\0\0\0\x0b{\"Get\":\"v\"}",
    );
    client.exchange(
        b"\0\0\0\x16{\"Remove\":{\"key\":\"k\"}}",
        b"\0\0\0\x08\"Remove\"",
    );
    client.exchange(
        b"\0\0\0\x16{\"Remove\":{\"key\":\"k\"}}",
        b"\0\0\0\x3a{\"Err\":{\"code\":\"key_not_found\",\"message\":\"Key not found\"}}",
    );
}

#[test]
fn replies_come_in_the_order_of_the_requests() {
    let (_dir, server) = serve();
    let mut client = Wire::connect(server.addr);
    let mut all = Vec::new();
    for n in 0..2000 {
        all.extend(frame(format!(r#"{{"Set":{{"key":"k","value":"{n}"}}}}"#)));
        all.extend(frame(r#"{"Get":{"key":"k"}}"#));
    }
    let mut writer = client.0.try_clone().unwrap();
    let writer = thread::spawn(move || writer.write_all(&all).unwrap());
    for n in 0..2000 {
        assert_eq!(client.receive(), r#""Set""#);
        assert_eq!(client.receive(), format!(r#"{{"Get":"{n}"}}"#));
    }
    writer.join().unwrap();
}

#[test]
fn a_request_may_arrive_byte_by_byte() {
    let (_dir, server) = serve();
    let mut client = Wire::connect(server.addr);
    client.0.set_nodelay(true).unwrap();
    for byte in frame(r#"{"Get":{"key":"k"}}"#) {
        client.0.write_all(&[byte]).unwrap();
    }
    assert_eq!(client.receive(), r#"{"Get":null}"#);
}

#[test]
fn an_invalid_request_is_answered_and_the_connection_continues() {
    let (_dir, server) = serve();
    let mut client = Wire::connect(server.addr);
    let deep = "[".repeat(100_000);
    let nonsense: [&[u8]; 10] = [
        b"",
        b"{",
        b"GET / HTTP/1.1\r\n\r\n",
        b"{\"Get\":{\"key\":\"k\"}} {}",
        b"{\"Get\":{}}",
        b"{\"Get\":{\"key\":1}}",
        b"{\"Put\":{\"key\":\"k\"}}",
        b"{\"Set\":{\"key\":\"k\"}}",
        b"{\"Get\":{\"key\":\"\xff\"}}",
        deep.as_bytes(),
    ];
    for body in nonsense {
        client.0.write_all(&frame(body)).unwrap();
        client.expect_error("bad_request");
        client.send(r#"{"Get":{"key":"k"}}"#);
        assert_eq!(client.receive(), r#"{"Get":null}"#);
    }
}

#[test]
fn an_answer_to_nonsense_is_short_however_long_the_nonsense_is() {
    let (_dir, server) = serve();
    let mut client = Wire::connect(server.addr);
    let name = "x".repeat(MAX_FRAME_LEN - 6);
    client.send(&format!(r#"{{"{name}":1}}"#));
    assert!(client.receive().len() < 1000);
    client.send(r#"{"Get":{"key":"k"}}"#);
    assert_eq!(client.receive(), r#"{"Get":null}"#);
}

#[test]
fn a_value_longer_than_a_frame_is_an_error_and_the_connection_continues() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), 2).unwrap();
    let escaped = "\u{1}".repeat(MAX_FRAME_LEN / 6);
    store.set("long".to_owned(), escaped).wait().unwrap();
    let server = TestServer::start(store);
    let mut client = Wire::connect(server.addr);
    client.send(r#"{"Get":{"key":"long"}}"#);
    client.expect_error("too_large");
    client.send(r#"{"Get":{"key":"k"}}"#);
    assert_eq!(client.receive(), r#"{"Get":null}"#);
}

#[test]
fn replies_are_sent_although_the_next_frame_is_cut_off() {
    let (_dir, server) = serve();
    let mut client = Wire::connect(server.addr);
    let mut bytes = frame(r#"{"Set":{"key":"k","value":"v"}}"#);
    bytes.extend([0, 0]);
    client.0.write_all(&bytes).unwrap();
    client.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.receive(), r#""Set""#);
    client.expect_end();
}

/// A request to the server itself waits for all requests before it. Here the last reply before
/// `Stats` fills the output, so `Stats` can start only after the output was written.
#[test]
fn a_request_that_waits_for_a_long_reply_is_answered_after_it() {
    let (_dir, server) = serve();
    let mut client = Wire::connect(server.addr);
    let value = "x".repeat(100_000);
    let set = format!(r#"{{"Set":{{"key":"k","value":"{value}"}}}}"#);
    let requests = [&set, r#"{"Get":{"key":"k"}}"#, r#"{"Stats":{}}"#];
    let requests = requests.map(frame).concat();
    // `Stats` may also arrive after that, but hardly three times.
    for _ in 0..3 {
        client.0.write_all(&requests).unwrap();
        assert_eq!(client.receive(), r#""Set""#);
        assert_eq!(client.receive(), format!(r#"{{"Get":"{value}"}}"#));
        assert!(client.receive().starts_with(r#"{"Stats":"#));
    }
}

#[test]
fn a_frame_over_the_limit_is_answered_and_the_connection_closed() {
    let (_dir, server) = serve();
    let mut client = Wire::connect(server.addr);
    client.send(r#"{"Get":{"key":"k"}}"#);
    let too_long = MAX_FRAME_LEN as u32 + 1;
    client.0.write_all(&too_long.to_be_bytes()).unwrap();
    assert_eq!(client.receive(), r#"{"Get":null}"#);
    client.expect_error("frame_too_long");
    client.expect_end();
}

#[test]
fn a_client_that_closes_its_half_gets_all_its_replies() {
    let (_dir, server) = serve();
    let mut client = Wire::connect(server.addr);
    client.send(r#"{"Set":{"key":"k","value":"v"}}"#);
    client.send(r#"{"Get":{"key":"k"}}"#);
    client.0.shutdown(Shutdown::Write).unwrap();
    assert_eq!(client.receive(), r#""Set""#);
    assert_eq!(client.receive(), r#"{"Get":"v"}"#);
    client.expect_end();
}

#[test]
fn all_requests_before_a_client_closed_its_half_are_answered() {
    let (_dir, server) = serve();
    let mut client = Wire::connect(server.addr);
    let mut writer = client.0.try_clone().unwrap();
    let writer = thread::spawn(move || {
        let requests = [r#"{"Set":{"key":"k","value":"v"}}"#, ""];
        let requests = requests.map(frame).concat().repeat(5000);
        writer.write_all(&requests).unwrap();
        writer.shutdown(Shutdown::Write).unwrap();
    });
    for _ in 0..5000 {
        assert_eq!(client.receive(), r#""Set""#);
        let reply = client.receive();
        assert!(reply.contains("bad_request"), "{reply}");
    }
    client.expect_end();
    writer.join().unwrap();
}

#[test]
fn an_end_that_comes_together_with_the_last_request_is_noticed() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(dir.path(), &[]);
    let mut client = Wire::connect(server.addr);
    client.send(r#"{"Get":{"key":"k"}}"#);
    assert_eq!(client.receive(), r#"{"Get":null}"#);
    // A server that is stopped finds both when it continues.
    server.signal("STOP");
    client.send(r#"{"Get":{"key":"k"}}"#);
    client.0.shutdown(Shutdown::Write).unwrap();
    server.signal("CONT");
    assert_eq!(client.receive(), r#"{"Get":null}"#);
    client.expect_end();
    server.stop("TERM");
}

#[test]
fn a_client_that_disconnects_half_way_harms_no_other_client() {
    let (_dir, server) = serve();
    let mut good = KvsClient::connect(server.addr).unwrap();
    for cut in 0..20 {
        let mut bad = Wire::connect(server.addr);
        let frame = frame(r#"{"Get":{"key":"k"}}"#);
        bad.0.write_all(&frame[..cut]).unwrap();
        drop(bad);
        assert_eq!(good.get("k".to_owned()).unwrap(), None);
    }
}

#[test]
fn a_write_takes_effect_if_all_of_it_arrived_although_its_peer_is_gone() {
    let (_dir, server) = serve();
    for (key, missing) in [("whole", 0), ("cut", 1)] {
        let set = frame(format!(r#"{{"Set":{{"key":"{key}","value":"v"}}}}"#));
        let mut gone = Wire::connect(server.addr);
        gone.0.write_all(&set[..set.len() - missing]).unwrap();
    }
    let mut client = KvsClient::connect(server.addr).unwrap();
    wait_for_stats(&mut client, |stats| stats.connections == 1);
    let whole = client.get("whole".to_owned()).unwrap();
    assert_eq!(whole.as_deref(), Some("v"));
    assert_eq!(client.get("cut".to_owned()).unwrap(), None);
}

#[test]
fn connections_are_served_side_by_side() {
    let (_dir, server) = serve();
    let mut clients: Vec<_> = (0..50)
        .map(|_| KvsClient::connect(server.addr).unwrap())
        .collect();
    for (n, client) in clients.iter_mut().enumerate().rev() {
        client.set(format!("key{n}"), format!("value{n}")).unwrap();
    }
    for (n, client) in clients.iter_mut().rev().enumerate() {
        let value = client.get(format!("key{n}")).unwrap();
        assert_eq!(value, Some(format!("value{n}")));
    }
}

#[test]
fn values_survive_a_restart_of_the_server() {
    let (dir, mut server) = serve();
    let mut client = KvsClient::connect(server.addr).unwrap();
    client.set("key".to_owned(), "value".to_owned()).unwrap();
    server.stop();
    assert!(client.get("key".to_owned()).is_err());

    let server = TestServer::start(Store::open(dir.path(), 2).unwrap());
    let mut client = KvsClient::connect(server.addr).unwrap();
    let value = client.get("key".to_owned()).unwrap();
    assert_eq!(value.as_deref(), Some("value"));
    client.remove("key".to_owned()).unwrap();
    let removed = client.remove("key".to_owned());
    assert!(matches!(removed, Err(KvsError::KeyNotFound)));
}

#[test]
fn a_shutdown_answers_requests_in_flight_and_ends_the_run() {
    let engine = GatedEngine::default();
    let mut server = TestServer::start(engine.clone());
    let mut client = Wire::connect(server.addr);
    client.send(r#"{"Get":{"key":"k"}}"#);
    let gate = engine.next_request();
    server.shutdown_handle().shutdown();
    client.send(r#"{"Get":{"key":"too late"}}"#);
    gate.send(EngineFuture::done(Ok(Some("v".to_owned()))))
        .unwrap();
    assert_eq!(client.receive(), r#"{"Get":"v"}"#);
    server.stop();
    assert!(engine.is_idle(), "a request was started after the shutdown");
}

#[test]
fn a_panic_in_the_engines_job_costs_that_request_an_error_and_nothing_else() {
    let server = TestServer::start(PanickingEngine(ThreadPool::new(1).unwrap()));
    let mut client = Wire::connect(server.addr);
    for _ in 0..3 {
        client.send(r#"{"Remove":{"key":"k"}}"#);
        client.expect_error("engine");
        client.send(r#"{"Get":{"key":"k"}}"#);
        assert_eq!(client.receive(), r#"{"Get":null}"#);
    }
}

#[test]
fn running_out_of_descriptors_does_not_end_the_accept_loop() {
    // The limit is that of a process, so the server has its own.
    let dir = tempfile::tempdir().unwrap();
    let limit = 24;
    let server = ServerProcess::start_with_limit(dir.path(), limit);
    let many: Vec<_> = (0..60).map(|_| Wire::connect(server.addr)).collect();
    let descriptors = || fs::read_dir(format!("/proc/{}/fd", server.id())).unwrap();
    wait_until("the server does not run out of descriptors", || {
        descriptors().count() >= limit as usize
    });
    drop(many);
    let mut client = KvsClient::connect(server.addr).unwrap();
    client.set("key".to_owned(), "value".to_owned()).unwrap();
}

/// An engine whose `get` is pending until the test answers it.
#[derive(Clone, Default)]
struct GatedEngine(Arc<(Mutex<VecDeque<Gate>>, Condvar)>);

type Gate = oneshot::Sender<EngineFuture<Option<String>>>;

impl GatedEngine {
    fn next_request(&self) -> Gate {
        let (gates, arrived) = &*self.0;
        let gates = gates.lock().unwrap();
        let mut gates = arrived.wait_while(gates, |gates| gates.is_empty()).unwrap();
        gates.pop_front().unwrap()
    }

    fn is_idle(&self) -> bool {
        self.0.0.lock().unwrap().is_empty()
    }
}

impl KvsEngine for GatedEngine {
    fn get(&self, _: String) -> EngineFuture<Option<String>> {
        let (gate, future) = EngineFuture::pending();
        self.0.0.lock().unwrap().push_back(gate);
        self.0.1.notify_one();
        future
    }

    fn set(&self, _: String, _: String) -> EngineFuture<()> {
        EngineFuture::done(Ok(()))
    }

    fn remove(&self, _: String) -> EngineFuture<()> {
        EngineFuture::done(Ok(()))
    }
}

/// An engine whose `remove` panics on the pool.
#[derive(Clone)]
struct PanickingEngine(SharedQueueThreadPool);

impl KvsEngine for PanickingEngine {
    fn get(&self, _: String) -> EngineFuture<Option<String>> {
        EngineFuture::done(Ok(None))
    }

    fn set(&self, _: String, _: String) -> EngineFuture<()> {
        EngineFuture::done(Ok(()))
    }

    fn remove(&self, _: String) -> EngineFuture<()> {
        EngineFuture::spawn(&self.0, || {
            panic!("a job that panics, as the test wants it")
        })
    }
}
