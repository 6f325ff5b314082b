//! The bytes of a scan.

use kvs::engine::EngineFuture;
use kvs::protocol::{MAX_FRAME_LEN, MAX_PAGE_BYTES};
use kvs::{KvsEngine, client::blocking::KvsClient};
use tempfile::TempDir;

use super::{Kvs, open_sled, set};
use crate::common::{TestServer, Wire};

fn serve(pairs: &[(&str, &str)]) -> (TempDir, TestServer) {
    let dir = tempfile::tempdir().unwrap();
    let engine = open_sled(&dir);
    for (key, value) in pairs {
        set(&engine, key, value);
    }
    (dir, TestServer::start(engine))
}

/// Sends requests, and compares each reply.
fn converse(client: &mut Wire, requests: &[(&str, &str)]) {
    for (request, reply) in requests {
        client.send(request);
        assert_eq!(client.receive(), *reply, "{request}");
    }
}

fn expect_error(client: &mut Wire, request: &str, code: &str) {
    println!("{request}");
    client.send(request);
    client.expect_error(code);
}

#[test]
fn the_bytes_of_a_scan_are_as_documented() {
    let (_dir, server) = serve(&[("user:1", "Ada"), ("user:2", "Bob")]);
    let mut client = Wire::connect(server.addr);
    client.exchange(
        b"\0\0\0\x25{\"Scan\":{\"limit\":1,\"prefix\":\"user:\"}}",
        b"\0\0\0\x3c{\"Scan\":{\"pairs\":[[\"user:1\",\"Ada\"]],\"cursor\":\"sled:user:1\"}}",
    );
    client.exchange(
        b"\0\0\0\x3c{\"Scan\":{\"cursor\":\"sled:user:1\",\"limit\":1,\"prefix\":\"user:\"}}",
        b"\0\0\0\x33{\"Scan\":{\"pairs\":[[\"user:2\",\"Bob\"]],\"cursor\":null}}",
    );
}

#[test]
fn all_fields_but_the_limit_may_be_left_out() {
    let (_dir, server) = serve(&[("a", "A"), ("b", "B")]);
    let mut client = Wire::connect(server.addr);
    let all = r#"{"Scan":{"pairs":[["a","A"],["b","B"]],"cursor":null}}"#;
    let keys = r#"{"Scan":{"pairs":[["a",null],["b",null]],"cursor":null}}"#;
    converse(
        &mut client,
        &[
            (r#"{"Scan":{"limit":10}}"#, all),
            (
                r#"{"Scan":{"cursor":null,"limit":10,"prefix":"","keys_only":false}}"#,
                all,
            ),
            (r#" { "Scan" : { "limit" : 10, "prefix" : "" } } "#, all),
            (r#"{"Scan":{"keys_only":true,"limit":10}}"#, keys),
            // As in all requests, a field that a scan does not have is ignored.
            (r#"{"Scan":{"limit":10,"order":["up",{}]}}"#, all),
        ],
    );
    for bad in [
        r#""Scan""#,
        r#"{"Scan":{}}"#,
        r#"{"Scan":null}"#,
        r#"{"Scan":{"limit":-1}}"#,
        r#"{"Scan":{"limit":"10"}}"#,
        r#"{"Scan":{"limit":1.5}}"#,
        r#"{"Scan":{"limit":10,"limit":10}}"#,
        r#"{"Scan":{"limit":10,"prefix":null}}"#,
        r#"{"Scan":{"limit":10,"cursor":1}}"#,
        r#"{"Scan":{"limit":10,"keys_only":0}}"#,
    ] {
        expect_error(&mut client, bad, "bad_request");
    }
}

#[test]
fn a_limit_counts_as_the_nearest_that_is_allowed() {
    let (_dir, server) = serve(&[("a", "A"), ("b", "B")]);
    let mut client = Wire::connect(server.addr);
    let one = r#"{"Scan":{"pairs":[["a","A"]],"cursor":"sled:a"}}"#;
    let all = r#"{"Scan":{"pairs":[["a","A"],["b","B"]],"cursor":null}}"#;
    let huge = format!(r#"{{"Scan":{{"limit":{}}}}}"#, usize::MAX);
    converse(
        &mut client,
        &[(r#"{"Scan":{"limit":0}}"#, one), (&huge, all)],
    );
}

#[test]
fn a_bad_cursor_is_an_error_and_the_connection_goes_on() {
    let (_dir, server) = serve(&[("a", "A")]);
    let mut client = Wire::connect(server.addr);
    let bad = r#"{"Scan":{"cursor":"of another store","limit":10}}"#;
    expect_error(&mut client, bad, "bad_cursor");
    converse(&mut client, &[(r#"{"Get":{"key":"a"}}"#, r#"{"Get":"A"}"#)]);
}

#[test]
fn a_scan_of_an_engine_that_has_none_is_an_error_and_the_connection_goes_on() {
    #[derive(Clone)]
    struct Empty;

    impl KvsEngine for Empty {
        fn get(&self, _: String) -> EngineFuture<Option<String>> {
            EngineFuture::done(Ok(None))
        }

        fn set(&self, _: String, _: String) -> EngineFuture<()> {
            EngineFuture::done(Ok(()))
        }

        fn remove(&self, _: String) -> EngineFuture<()> {
            EngineFuture::done(Ok(()))
        }
    }

    let server = TestServer::start(Empty);
    let mut client = Wire::connect(server.addr);
    expect_error(&mut client, r#"{"Scan":{"limit":10}}"#, "unsupported");
    converse(
        &mut client,
        &[(r#"{"Get":{"key":"a"}}"#, r#"{"Get":null}"#)],
    );
}

#[test]
fn a_page_longer_than_a_frame_is_an_error_and_keys_alone_lead_past_it() {
    // In JSON each character takes six bytes.
    let long = "\u{1}".repeat(MAX_FRAME_LEN / 6);
    let (_dir, server) = serve(&[("a", "A"), ("b", &long), ("c", "C")]);
    let mut client = Wire::connect(server.addr);
    let request = r#"{"Scan":{"cursor":"sled:a","limit":1}}"#;
    expect_error(&mut client, request, "too_large");
    converse(
        &mut client,
        &[
            (
                r#"{"Scan":{"cursor":"sled:a","limit":1,"keys_only":true}}"#,
                r#"{"Scan":{"pairs":[["b",null]],"cursor":"sled:b"}}"#,
            ),
            (
                r#"{"Scan":{"cursor":"sled:b","limit":1}}"#,
                r#"{"Scan":{"pairs":[["c","C"]],"cursor":null}}"#,
            ),
        ],
    );
}

fn the_longest_value_behind_many_short_ones_fits(engine: impl KvsEngine + Sync) {
    let many = "x".repeat(MAX_PAGE_BYTES - 100);
    let long = "x".repeat(MAX_FRAME_LEN - 200);
    set(&engine, "a", &many);
    set(&engine, "b", &long);
    let server = TestServer::start(engine);
    let mut client = KvsClient::connect(server.addr).unwrap();
    let values = client.scan(String::new()).map(|pair| pair.unwrap().1);
    assert!(values.eq([many, long]));
}

#[test]
fn the_longest_value_behind_many_short_ones_fits_into_a_page_of_sled() {
    let dir = tempfile::tempdir().unwrap();
    the_longest_value_behind_many_short_ones_fits(open_sled(&dir));
}

#[test]
fn the_longest_value_behind_many_short_ones_fits_into_a_page_of_kvs() {
    let dir = tempfile::tempdir().unwrap();
    the_longest_value_behind_many_short_ones_fits(Kvs::open(dir.path(), 2).unwrap());
}

#[test]
fn stats_count_scans_and_their_errors() {
    let (_dir, server) = serve(&[]);
    let mut client = KvsClient::connect(server.addr).unwrap();
    assert_eq!(client.stats().unwrap().requests["Scan"], 0);
    assert_eq!(client.scan(String::new()).count(), 0);
    let mut wire = Wire::connect(server.addr);
    expect_error(
        &mut wire,
        r#"{"Scan":{"cursor":"","limit":1}}"#,
        "bad_cursor",
    );
    let stats = client.stats().unwrap();
    assert_eq!(stats.requests["Scan"], 2);
    assert_eq!(stats.errors["bad_cursor"], 1);
}
