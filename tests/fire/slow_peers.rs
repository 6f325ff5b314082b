//! Peers that send or read their bytes slowly, or never.

use std::io::{ErrorKind, Read, Write};
use std::iter;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use kvs::client::blocking::KvsClient;
use kvs::protocol::MAX_FRAME_LEN;
use kvs::server::Limits;

use super::{GET_K, serve, wait_for_connections};
use crate::common::{Wire, frame, is_kept_alive, wait_until};

#[test]
fn a_frame_that_takes_too_long_is_an_error_and_the_end() {
    let mut limits = Limits::default();
    limits.frame_time = Duration::from_millis(100);
    let (_dir, server) = serve(limits);
    let mut good = KvsClient::connect(server.addr).unwrap();
    let mut slow = Wire::connect(server.addr);
    slow.send(GET_K);
    assert_eq!(slow.receive(), r#"{"Get":null}"#);
    slow.0.write_all(&frame(GET_K)[..7]).unwrap();
    slow.expect_error("too_slow");
    slow.expect_end();
    // A peer that has not begun a frame has no time limit.
    assert_eq!(good.get("k".to_owned()).unwrap(), None);
}

#[test]
fn a_frame_byte_by_byte_has_no_more_time_than_any_other() {
    let mut limits = Limits::default();
    limits.frame_time = Duration::from_millis(100);
    let (_dir, server) = serve(limits);
    let mut slow = Wire::connect(server.addr);
    let mut writer = slow.0.try_clone().unwrap();
    // Sending all of it takes many seconds.
    let writer = thread::spawn(move || {
        let prefix = (MAX_FRAME_LEN as u32).to_be_bytes();
        let mut bytes = prefix
            .into_iter()
            .chain(iter::repeat_n(b'x', MAX_FRAME_LEN));
        bytes.any(|byte| writer.write_all(&[byte]).is_err())
    });
    slow.expect_error("too_slow");
    drop(slow);
    let was_closed = writer.join().unwrap();
    assert!(was_closed);
}

#[test]
fn a_peer_that_reads_a_little_now_and_then_has_no_more_time_than_any_other() {
    let mut limits = Limits::default();
    limits.reply_time = Duration::from_secs(2);
    let (_dir, server) = serve(limits);
    let mut good = KvsClient::connect(server.addr).unwrap();
    let value = "x".repeat(MAX_FRAME_LEN - 100);
    good.set("k".to_owned(), value).unwrap();
    let mut slow = Wire::connect(server.addr);
    slow.send(GET_K);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // The reply takes eight seconds, and the system buffers about half of it.
            while !is_over.load(Ordering::Relaxed) {
                let _ = slow.0.read(&mut [0; 2048]).unwrap();
                thread::sleep(Duration::from_millis(1));
            }
        });
        wait_for_connections(&mut good, 1);
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn a_peer_that_floods_the_server_after_its_end_is_disconnected() {
    let (_dir, server) = serve(Limits::default());
    let mut good = KvsClient::connect(server.addr).unwrap();
    let mut bad = Wire::connect(server.addr);
    bad.0.write_all(&[0xff; 4]).unwrap();
    bad.expect_error("frame_too_long");
    // The server can always read more from this peer.
    let flood = || {
        let mut socket = bad.0.try_clone().unwrap();
        thread::spawn(move || while socket.write_all(&[0; 1_000_000]).is_ok() {})
    };
    let floods = [flood(), flood(), flood()];
    wait_for_connections(&mut good, 1);
    for flood in floods {
        flood.join().unwrap();
    }
}

#[test]
fn a_peer_that_never_reads_is_read_no_more_and_closed() {
    let mut limits = Limits::default();
    limits.reply_time = Duration::from_millis(200);
    let (_dir, server) = serve(limits);
    let mut good = KvsClient::connect(server.addr).unwrap();
    good.set("k".to_owned(), "x".repeat(100_000)).unwrap();
    let mut deaf = Wire::connect(server.addr);
    let request = frame(GET_K).repeat(100);
    let error = (0..).find_map(|_| {
        // The server holds at most a megabyte of replies and one more reply, however many requests
        // it has read.
        let stats = good.stats().unwrap();
        assert!(stats.connection_bytes < 1024 * 1024 + 200_000, "{stats}");
        deaf.0.write_all(&request).err()
    });
    let kind = error.unwrap().kind();
    assert!(
        matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe),
        "{kind}"
    );
    assert!(good.get("k".to_owned()).unwrap().is_some());
}

#[test]
#[cfg(target_os = "linux")]
fn a_peer_that_is_silent_is_asked_whether_it_is_still_there() {
    let (_dir, server) = serve(Limits::default());
    let mut client = Wire::connect(server.addr);
    client.send(GET_K);
    client.receive();
    let (own, peer) = (server.addr.port(), client.0.local_addr().unwrap().port());
    wait_until("the server does not ask the peer", || {
        is_kept_alive(|local, remote| (local, remote) == (own, peer))
    });
}
