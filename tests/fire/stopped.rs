//! A server that was stopped (`SIGSTOP`) does not count that time against its peers.

use std::fs;
use std::io::Write;
use std::thread;
use std::time::Duration;

use kvs::client::blocking::KvsClient;

use super::GET_K;
use crate::common::{ServerProcess, Wire, frame, token_file, wait_until};

/// Stops the server, runs `job`, and lets the server continue after more than the second that its
/// peers have.
fn while_stopped(server: &ServerProcess, job: impl FnOnce()) {
    server.signal("STOP");
    let stat = format!("/proc/{}/stat", server.id());
    wait_until("the server does not stop", || {
        fs::read_to_string(&stat).unwrap().contains(") T ")
    });
    job();
    // The test needs this time to pass while the server is stopped.
    thread::sleep(Duration::from_secs(2));
    server.signal("CONT");
}

#[test]
fn a_server_that_was_stopped_reads_arrived_bytes_before_it_looks_at_the_clock() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &["--frame-time=1", "--reply-time=1"]);
    // The buffers of the system hold the first value, but not the second one.
    for len in [1, 8_000_000] {
        let value = "x".repeat(len);
        let set = frame(format!(r#"{{"Set":{{"key":"k","value":"{value}"}}}}"#));
        let get = format!(r#"{{"Get":"{value}"}}"#);
        let mut peer = Wire::connect(server.addr);
        // The server has already read the beginning of this frame, together with the previous
        // request.
        let (first, rest) = set.split_at(10);
        peer.0.write_all(&[&frame(GET_K), first].concat()).unwrap();
        peer.receive();
        thread::scope(|scope| {
            while_stopped(&server, || {
                let mut socket = &peer.0;
                scope.spawn(move || socket.write_all(rest).unwrap());
            });
        });
        assert_eq!(peer.receive(), r#""Set""#);

        // The server has sent as much as the peer can buffer. The peer reads the rest while the
        // server is stopped.
        peer.send(GET_K);
        peer.0.peek(&mut [0]).unwrap();
        while_stopped(&server, || ());
        assert_eq!(peer.receive(), get);
    }
}

#[test]
fn a_pipelining_peer_loses_no_time_however_often_the_server_is_stopped() {
    // First the peer is slow to send a frame, and then it is slow to read a reply.
    for (times, len) in [
        (["--frame-time=1", "--reply-time=1000"], 1),
        (["--frame-time=1000", "--reply-time=1"], 8_000_000),
    ] {
        let dir = tempfile::tempdir().unwrap();
        let args = [&times[..], &["--network-threads=1"]].concat();
        let server = ServerProcess::start(dir.path(), &args);
        let mut other = KvsClient::connect(server.addr).unwrap();
        let value = "x".repeat(len);
        other.set("k".to_owned(), value.clone()).unwrap();
        let get = format!(r#"{{"Get":"{value}"}}"#);

        // The peer has always sent the beginning of one more frame than it has received replies.
        let request = frame(GET_K);
        let (first, rest) = request.split_at(10);
        let next = [rest, first].concat();
        let mut peer = Wire::connect(server.addr);
        peer.0.write_all(first).unwrap();
        for _ in 0..3 {
            peer.0.write_all(&next).unwrap();
            if len == 1 {
                assert_eq!(peer.receive(), get);
            } else {
                peer.0.peek(&mut [0]).unwrap();
            }
            while_stopped(&server, || ());
            // After these requests, the only network thread has noticed that the time of the peer
            // is over.
            for _ in 0..10 {
                other.stats().unwrap();
            }
            if len > 1 {
                assert_eq!(peer.receive(), get);
            }
        }
    }
}

#[test]
fn a_server_that_was_stopped_accepts_a_token_that_arrived_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let token_file = token_file(dir.path(), "secret");
    let token_file = format!("--auth-token-file={}", token_file.display());
    let data = dir.path().join("data");
    let server = ServerProcess::start(&data, &["--frame-time=1", &token_file]);
    let mut known = Wire::connect(server.addr);
    let auth = r#"{"Auth":{"token":"secret"}}"#;
    known.send(auth);
    assert_eq!(known.receive(), r#""Auth""#);
    let mut peer = Wire::connect(server.addr);
    // The server counts both connections, so it has accepted both.
    wait_until("the server does not accept the peer", || {
        known.send(r#"{"Stats":{}}"#);
        known.receive().contains(r#""connections":2"#)
    });
    while_stopped(&server, || peer.send(auth));
    assert_eq!(peer.receive(), r#""Auth""#);
}

#[test]
fn a_shutdown_that_was_stopped_leaves_peers_their_time() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(dir.path(), &["--shutdown-time=4"]);
    let value = "x".repeat(15_000_000);
    let mut good = KvsClient::connect(server.addr).unwrap();
    good.set("k".to_owned(), value.clone()).unwrap();
    drop(good);
    let mut peer = Wire::connect(server.addr);
    peer.send(GET_K);
    peer.0.peek(&mut [0]).unwrap();
    server.signal("TERM");
    // When the server accepts no more connections, it has begun to stop.
    wait_until("the server does not begin to stop", || {
        KvsClient::connect(server.addr).is_err()
    });
    // The sleep makes the time while the server is stopped longer than its shutdown time.
    while_stopped(&server, || thread::sleep(Duration::from_secs(3)));
    assert_eq!(peer.receive(), format!(r#"{{"Get":"{value}"}}"#));
    peer.expect_end();
    assert_eq!(server.wait(), Some(0));
}
