//! The scan of the blocking client.

use kvs::client::blocking::KvsClient;
use kvs::protocol::{ErrorCode, Scan};
use kvs::{KvsEngine, KvsError};

use super::scripted::Script;
use super::{Kvs, open_sled, pairs, set};
use crate::common::{TestServer, pages};

const FIRST: &str = r#"{"Scan":{"cursor":null,"limit":1000,"prefix":"p","keys_only":false}}"#;
const SECOND: &str = r#"{"Scan":{"cursor":"c","limit":1000,"prefix":"p","keys_only":false}}"#;
const GET: &str = r#"{"Get":{"key":"k"}}"#;

fn pair(key: &str) -> (String, String) {
    (key.to_owned(), key.to_uppercase())
}

#[test]
fn a_scan_asks_for_a_page_when_the_pairs_before_it_are_taken() {
    let script = Script::start(|mut peer| {
        // The scan that was never polled has sent nothing.
        assert_eq!(peer.receive(), GET);
        peer.send(r#"{"Get":null}"#);
        assert_eq!(peer.receive(), FIRST);
        peer.send(r#"{"Scan":{"pairs":[["pa","PA"],["pb","PB"]],"cursor":"c"}}"#);
        // The scan that was dropped has not asked for its second page.
        assert_eq!(peer.receive(), GET);
        peer.send(r#"{"Get":"v"}"#);
        peer.expect_end();
    });
    let mut client = KvsClient::connect(script.addr).unwrap();
    let _ = client.scan("unused".to_owned());
    assert_eq!(client.get("k".to_owned()).unwrap(), None);
    let mut scan = client.scan("p".to_owned());
    assert_eq!(scan.next().unwrap().unwrap(), pair("pa"));
    assert_eq!(scan.next().unwrap().unwrap(), pair("pb"));
    assert_eq!(client.get("k".to_owned()).unwrap().as_deref(), Some("v"));
    drop(client);
    script.finish();
}

#[test]
fn a_scan_continues_after_a_page_without_pairs_and_ends_once() {
    let script = Script::start(|mut peer| {
        assert_eq!(peer.receive(), FIRST);
        peer.send(r#"{"Scan":{"pairs":[],"cursor":"c"}}"#);
        assert_eq!(peer.receive(), SECOND);
        peer.send(r#"{"Scan":{"pairs":[["pa","PA"]],"cursor":"c"}}"#);
        assert_eq!(peer.receive(), SECOND);
        peer.send(r#"{"Scan":{"pairs":[],"cursor":null}}"#);
        peer.expect_end();
    });
    let mut client = KvsClient::connect(script.addr).unwrap();
    let mut scan = client.scan("p".to_owned());
    assert_eq!(scan.next().unwrap().unwrap(), pair("pa"));
    assert!((0..3).all(|_| scan.next().is_none()));
    drop(client);
    script.finish();
}

#[test]
fn a_scan_ends_after_an_error_and_the_connection_goes_on() {
    let script = Script::start(|mut peer| {
        assert_eq!(peer.receive(), FIRST);
        peer.send(r#"{"Scan":{"pairs":[["pa","PA"]],"cursor":"c"}}"#);
        assert_eq!(peer.receive(), SECOND);
        peer.send(r#"{"Err":{"code":"damaged","message":"m"}}"#);
        assert_eq!(peer.receive(), GET);
        peer.send(r#"{"Get":"v"}"#);
    });
    let mut client = KvsClient::connect(script.addr).unwrap();
    let mut scan = client.scan("p".to_owned());
    assert_eq!(scan.next().unwrap().unwrap(), pair("pa"));
    match scan.next().unwrap().unwrap_err() {
        KvsError::Server { code, .. } => assert_eq!(code, ErrorCode::Damaged),
        other => panic!("{other}"),
    }
    assert!((0..3).all(|_| scan.next().is_none()));
    assert_eq!(client.get("k".to_owned()).unwrap().as_deref(), Some("v"));
    script.finish();
}

#[test]
fn a_scan_ends_after_a_broken_connection() {
    let script = Script::start(|mut peer| {
        assert_eq!(peer.receive(), FIRST);
        peer.send(r#"{"Scan":{"pairs":[["pa","PA"]],"cursor":"c"}}"#);
        assert_eq!(peer.receive(), SECOND);
    });
    let mut client = KvsClient::connect(script.addr).unwrap();
    let mut scan = client.scan("p".to_owned());
    assert_eq!(scan.next().unwrap().unwrap(), pair("pa"));
    let broken = scan.next().unwrap();
    assert!(matches!(broken, Err(KvsError::Connection { .. })));
    assert!(scan.next().is_none());
    script.finish();
}

#[test]
fn a_key_without_a_value_is_an_error_and_no_empty_value() {
    let script = Script::start(|mut peer| {
        assert_eq!(peer.receive(), FIRST);
        peer.send(r#"{"Scan":{"pairs":[["pa",null],["pb","PB"]],"cursor":"c"}}"#);
        assert_eq!(peer.receive(), GET);
        peer.send(r#"{"Get":"v"}"#);
        peer.expect_end();
    });
    let mut client = KvsClient::connect(script.addr).unwrap();
    let mut scan = client.scan("p".to_owned());
    let error = scan.next().unwrap().unwrap_err();
    assert!(error.to_string().contains("no value"), "{error}");
    assert!(scan.next().is_none());
    // The connection is in step.
    assert_eq!(client.get("k".to_owned()).unwrap().as_deref(), Some("v"));
    drop(client);
    script.finish();
}

fn a_store_is_scanned_over_the_network(store: impl KvsEngine + Sync) {
    for n in 0..1000 {
        set(&store, &format!("key{n}"), &format!("value{n}"));
    }
    set(&store, "other", "value");
    let server = TestServer::start(store);
    let mut client = KvsClient::connect(server.addr).unwrap();
    let mut numbers: Vec<usize> = client
        .scan("key".to_owned())
        .map(|pair| {
            let (key, value) = pair.unwrap();
            let number = key.strip_prefix("key").unwrap();
            assert_eq!(value.strip_prefix("value"), Some(number));
            number.parse().unwrap()
        })
        .collect();
    numbers.sort_unstable();
    assert!(numbers.into_iter().eq(0..1000));
    assert_eq!(client.scan(String::new()).count(), 1001);
    assert_eq!(client.scan("nothing".to_owned()).count(), 0);

    let scan = Scan {
        limit: 7,
        keys_only: true,
        ..Scan::prefix("key1")
    };
    let pages: Vec<_> = pages(scan, |scan| client.scan_page(scan)).collect();
    assert!(pages.iter().all(|page| page.pairs.len() <= 7));
    let keys = pairs(pages);
    // 1, 10 to 19, and 100 to 199.
    assert_eq!(keys.len(), 111);
    assert!(keys.values().all(Option::is_none));
}

#[test]
fn a_sled_database_is_scanned_over_the_network() {
    let dir = tempfile::tempdir().unwrap();
    a_store_is_scanned_over_the_network(open_sled(&dir));
}

#[test]
fn a_kvs_store_is_scanned_over_the_network() {
    let dir = tempfile::tempdir().unwrap();
    a_store_is_scanned_over_the_network(Kvs::open(dir.path(), 2).unwrap());
}
