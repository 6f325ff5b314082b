//! When the server starts a scan, and the memory that its page takes.

use std::io::Write;

use kvs::KvsServer;
use kvs::engine::Page;
use kvs::protocol::Kind;
use kvs::server::Limits;

use super::gated::{Begun, Gated};
use crate::common::{TestServer, Wire, frame};

const GET: &str = r#"{"Get":{"key":"k"}}"#;
const SET: &str = r#"{"Set":{"key":"k","value":"v"}}"#;
const SCAN: &str = r#"{"Scan":{"limit":10000}}"#;
const EMPTY: &str = r#"{"Scan":{"pairs":[],"cursor":null}}"#;

fn send_all(client: &mut Wire, requests: &[&str]) {
    let frames: Vec<_> = requests.iter().flat_map(frame).collect();
    client.0.write_all(&frames).unwrap();
}

#[test]
fn a_scan_is_alone_on_its_connection_even_if_the_engine_keeps_order() {
    let (engine, begun) = Gated::new();
    let server = TestServer::start(engine);
    let mut client = Wire::connect(server.addr);
    send_all(&mut client, &[SET, GET, SCAN, GET, "{", SET, SCAN, SCAN]);
    let next = |kind, others: &[Kind]| {
        let request = Begun::next(&begun);
        assert_eq!((request.kind, &request.others[..]), (kind, others));
        request
    };
    let set = next(Kind::Set, &[]);
    let get = next(Kind::Get, &[Kind::Set]);
    get.answer();
    set.answer();
    // If the server had not waited, the scan would have begun beside one of these.
    let scan = next(Kind::Scan, &[]);
    // Meanwhile, a server that does not wait would begin the next request.
    let mut other = Wire::connect(server.addr);
    other.send(r#"{"Stats":{}}"#);
    other.receive();
    scan.answer();
    let get = next(Kind::Get, &[]);
    let set = next(Kind::Set, &[Kind::Get]);
    get.answer();
    set.answer();
    next(Kind::Scan, &[]).answer();
    next(Kind::Scan, &[]).answer();
    let nothing = r#"{"Get":null}"#;
    for expected in [r#""Set""#, nothing, EMPTY, nothing] {
        assert_eq!(client.receive(), expected);
    }
    assert!(client.receive().contains("bad_request"));
    for expected in [r#""Set""#, EMPTY, EMPTY] {
        assert_eq!(client.receive(), expected);
    }
}

#[test]
fn a_scan_delays_no_other_connection_and_is_answered_although_the_server_shuts_down() {
    let (engine, begun) = Gated::new();
    let mut server = TestServer::start(engine);
    let mut scanner = Wire::connect(server.addr);
    scanner.send(SCAN);
    let scan = Begun::next(&begun);
    let mut client = Wire::connect(server.addr);
    client.send(GET);
    Begun::next(&begun).answer();
    assert_eq!(client.receive(), r#"{"Get":null}"#);
    server.shutdown_handle().shutdown();
    client.expect_end();
    scan.answer();
    assert_eq!(scanner.receive(), EMPTY);
    scanner.expect_end();
    server.stop();
}

fn serve_with_a_megabyte(engine: Gated) -> TestServer {
    let mut limits = Limits::default();
    limits.memory_bytes = 1024 * 1024;
    TestServer::serve(KvsServer::new(engine).limits(limits))
}

#[test]
fn a_page_counts_before_the_engine_has_read_it() {
    let (engine, begun) = Gated::new();
    let server = serve_with_a_megabyte(engine);
    let mut first = Wire::connect(server.addr);
    first.send(SCAN);
    let scan = Begun::next(&begun);
    let mut second = Wire::connect(server.addr);
    second.send(SCAN);
    second.expect_error("overloaded");
    second.expect_end();
    drop(Begun::next(&begun));
    scan.answer();
    assert_eq!(first.receive(), EMPTY);
    // There is room again.
    first.send(SCAN);
    Begun::next(&begun).answer();
    assert_eq!(first.receive(), EMPTY);
}

#[test]
fn a_page_that_there_is_no_memory_for_is_not_sent() {
    let (engine, begun) = Gated::new();
    let server = serve_with_a_megabyte(engine);
    let mut client = Wire::connect(server.addr);
    client.send(SCAN);
    let long = "x".repeat(2 * 1024 * 1024);
    let page = Page {
        pairs: vec![("k".to_owned(), Some(long))],
        cursor: None,
    };
    Begun::next(&begun).answer_with(page);
    client.expect_error("overloaded");
    client.expect_end();
}
