//! The time limits of the blocking client.

use std::io::Write;
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use kvs::client::blocking::KvsClient;
use kvs::protocol::{Kind, MAX_FRAME_LEN};
use kvs::{ConnectionError, KvsError};
use socket2::{Domain, Socket, Type};

use super::scripted::Script;
use crate::common::{ANY_PORT, NOBODY, TestServer};

const LIMIT: Duration = Duration::from_millis(50);

fn connect(addr: SocketAddr) -> KvsClient {
    let mut client = KvsClient::connect(addr).unwrap();
    client.set_timeout(Some(LIMIT));
    client
}

/// Checks that a request has run into its time limit, which `start` was before.
fn expect_timeout<T: std::fmt::Debug>(result: kvs::Result<T>, kind: Kind, start: Instant) {
    assert!(start.elapsed() >= LIMIT);
    match result {
        Err(KvsError::Connection {
            cause: ConnectionError::TimedOut { request, after, .. },
            ..
        }) => assert_eq!((request, after), (kind, LIMIT)),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_without_a_reply_fails_in_time_and_its_reply_answers_no_other() {
    let (give_up, given_up) = mpsc::channel();
    let (reply, replied) = mpsc::channel();
    let script = Script::start(move |mut peer| {
        peer.receive();
        given_up.recv().unwrap();
        peer.send(r#"{"Get":"late"}"#);
        reply.send(()).unwrap();
        // No other request comes.
        peer.try_receive().unwrap_err();
    });
    let mut client = connect(script.addr);
    let start = Instant::now();
    let error = client.get("k".to_owned()).unwrap_err();
    assert_eq!(
        error.to_string(),
        format!(
            "the connection to {} failed: no reply to a request of kind Get within 50ms",
            script.addr
        )
    );
    expect_timeout::<()>(Err(error), Kind::Get, start);
    give_up.send(()).unwrap();
    replied.recv().unwrap();
    client.set_timeout(None);
    expect_timeout(client.get("other".to_owned()), Kind::Get, start);
    assert_eq!(client.scan(String::new()).filter(Result::is_err).count(), 1);
    drop(client);
    script.finish();
}

#[test]
fn a_reply_that_arrives_byte_by_byte_has_no_more_time() {
    let script = Script::start(|mut peer| {
        peer.receive();
        let prefix = (MAX_FRAME_LEN as u32).to_be_bytes();
        peer.0.write_all(&prefix).unwrap();
        while peer.0.write_all(b" ").is_ok() {}
    });
    let mut client = connect(script.addr);
    let start = Instant::now();
    let page = client.scan(String::new()).next().unwrap();
    expect_timeout(page, Kind::Scan, start);
    drop(client);
    script.finish();
}

#[test]
fn a_request_that_the_server_does_not_read_fails_in_time() {
    let (give_up, given_up) = mpsc::channel();
    let script = Script::start(move |_peer| given_up.recv().unwrap());
    let mut client = connect(script.addr);
    let value = "x".repeat(MAX_FRAME_LEN - 100);
    let start = Instant::now();
    let set = client.set("k".to_owned(), value);
    expect_timeout(set, Kind::Set, start);
    give_up.send(()).unwrap();
    script.finish();
}

#[test]
fn a_time_limit_may_be_as_short_and_as_long_as_can_be() {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(super::open_sled(&dir));
    for limit in [
        None,
        Some(Duration::from_secs(60)),
        Some(Duration::MAX),
        None,
    ] {
        let mut client = match limit {
            Some(limit) => KvsClient::connect_timeout(server.addr, limit).unwrap(),
            None => KvsClient::connect(server.addr).unwrap(),
        };
        client.set_timeout(limit);
        assert_eq!(client.get("k".to_owned()).unwrap(), None);
        client.set_timeout(None);
        assert_eq!(client.get("k".to_owned()).unwrap(), None);
        client.set_timeout(Some(Duration::ZERO));
        client.get("k".to_owned()).unwrap_err();
    }
}

#[test]
fn a_server_that_accepts_no_connection_is_an_error_in_time() {
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&ANY_PORT.into()).unwrap();
    listener.listen(1).unwrap();
    let addr = listener.local_addr().unwrap().as_socket().unwrap();
    // The system accepts some connections for the listener, and then leaves the next unanswered.
    let mut accepted = Vec::new();
    let (error, start) = loop {
        let start = Instant::now();
        match KvsClient::connect_timeout(addr, LIMIT) {
            Ok(client) => accepted.push(client),
            Err(error) => break (error, start),
        }
        assert!(accepted.len() < 100);
    };
    assert!(start.elapsed() >= LIMIT);
    assert_eq!(
        error.to_string(),
        format!("cannot connect to {addr}: no answer within 50ms; is kvs-server running there?")
    );
    let refused = KvsClient::connect_timeout(NOBODY, Duration::from_secs(60)).unwrap_err();
    assert!(!refused.to_string().contains("within"), "{refused}");
    assert!(KvsClient::connect_timeout(addr, Duration::ZERO).is_err());
}
