//! Scans: the laws of a stream of pairs that arrive page by page.

use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread;

use futures::{Async, Future, Stream, future};
use kvs::client::PAGE;
use kvs::protocol::MAX_PAGE_BYTES;
use kvs::{ConnectionError, KvsError};
use tokio::timer::Timeout;

use super::pages::{answer, page, request};
use super::scripted::cause;
use super::{Client, Script, Task, connect, patience, wait};
use crate::common::Wire;
use crate::common::serve;

const GET_K: &str = r#"{"Get":{"key":"k"}}"#;
const GOT_V: &str = r#"{"Get":"v"}"#;
const NO_PAIRS: [(&str, &str); 0] = [];

/// Returns the next item of a scan.
fn next<S: Stream>(scan: &mut S) -> impl Future<Item = Option<S::Item>, Error = S::Error> {
    future::poll_fn(|| scan.poll())
}

/// Returns the next pair of a scan, which has to be there without waiting.
fn ready_pair<S: Stream>(scan: &mut S) -> Option<S::Item> {
    match Task::new(next(scan)).poll() {
        Ok(Async::Ready(pair)) => pair,
        Ok(Async::NotReady) => panic!("the scan waits although it has a pair"),
        Err(_) => panic!("the scan failed although it has a pair"),
    }
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

fn get_k<C: Client>(client: &mut C) -> Option<String> {
    wait(client.get("k".to_owned())).unwrap()
}

fn answer_get_k(peer: &mut Wire) {
    assert_eq!(peer.receive(), GET_K, "the next to arrive");
    peer.send(GOT_V);
}

/// Stores `count` pairs, and returns them.
fn fill<C: Client>(client: &mut C, prefix: &str, count: usize) -> BTreeMap<String, String> {
    let pairs = (0..count).map(|n| (format!("{prefix}{n}"), format!("value{n}")));
    let pairs: BTreeMap<_, _> = pairs.collect();
    let sets = pairs.clone().into_iter();
    let sets = sets.map(|(key, value)| client.set(key, value));
    wait(future::join_all(sets.collect::<Vec<_>>())).unwrap();
    pairs
}

/// Returns the pairs of a scan, each of which has to be there once.
fn collect<C: Client>(client: &mut C, prefix: &str) -> BTreeMap<String, String> {
    let pairs = wait(client.scan(prefix.to_owned()).collect()).unwrap();
    let count = pairs.len();
    let pairs: BTreeMap<_, _> = pairs.into_iter().collect();
    assert_eq!(pairs.len(), count, "a pair was returned twice");
    pairs
}

/// Compares many pairs. The message names one of them, and not all.
#[track_caller]
fn expect_pairs(scanned: &BTreeMap<String, String>, stored: &BTreeMap<String, String>) {
    let missing = stored
        .iter()
        .find(|(key, value)| scanned.get(*key) != Some(value));
    assert_eq!(missing, None, "a stored pair that a scan does not return");
    assert_eq!(scanned.len(), stored.len(), "the pairs that a scan returns");
}

pub fn scan_returns_every_pair_once<C: Client>() {
    let (_dir, server) = serve();
    let mut client = connect::<C>(server.addr);
    let mut pairs = fill(&mut client, "key", 2 * PAGE + 1);
    expect_pairs(&collect(&mut client, ""), &pairs);

    wait(client.remove("key0".to_owned())).unwrap();
    pairs.remove("key0");
    wait(client.set("key1".to_owned(), "another".to_owned())).unwrap();
    pairs.insert("key1".to_owned(), "another".to_owned());
    expect_pairs(&collect(&mut client, ""), &pairs);
}

pub fn scan_of_a_prefix_returns_the_pairs_whose_keys_begin_with_it<C: Client>() {
    let (_dir, server) = serve();
    let mut client = connect::<C>(server.addr);
    assert!(collect(&mut client, "").is_empty(), "the store is empty");
    fill(&mut client, "a", 2 * PAGE);
    let pairs = fill(&mut client, "ü\"", 10);
    assert_eq!(collect(&mut client, "ü\""), pairs);
    assert!(collect(&mut client, "ü\"10").is_empty());
}

pub fn scan_returns_pairs_that_fill_a_page_alone<C: Client>() {
    let (_dir, server) = serve();
    let mut client = connect::<C>(server.addr);
    let value = |key: &str| key.repeat(2 * MAX_PAGE_BYTES);
    for key in ["a", "b", "c"] {
        wait(client.set(key.to_owned(), value(key))).unwrap();
    }
    let pairs = collect(&mut client, "");
    assert!(pairs.keys().eq(["a", "b", "c"]));
    assert!(pairs.iter().all(|(key, found)| *found == value(key)));
}

pub fn a_client_can_read_and_write_during_its_scan<C: Client>() {
    let (_dir, server) = serve();
    let mut client = connect::<C>(server.addr);
    let pairs = fill(&mut client, "key", PAGE + 100);
    // Two more requests of the same client, before the next pair is taken.
    let mut copier = client.clone();
    let copied = client.scan("key".to_owned()).for_each(move |(key, value)| {
        let get = copier.get(key.clone());
        let set = copier.set(format!("copy of {key}"), value.clone());
        get.and_then(move |found| {
            assert_eq!(found, Some(value));
            set
        })
    });
    wait(copied).unwrap();
    let copies = pairs.into_iter();
    let copies = copies.map(|(key, value)| (format!("copy of {key}"), value));
    assert_eq!(collect(&mut client, "copy of "), copies.collect());
}

pub fn scan_works_on_a_runtime_of_many_threads<C: Client>() {
    let (_dir, server) = serve();
    let pairs = fill(&mut connect::<C>(server.addr), "key", PAGE + 1);
    let mut runtime = tokio::runtime::Runtime::new().unwrap();
    let scans = C::connect(server.addr).and_then(|mut client| {
        let scans = (0..4).map(|_| client.scan(String::new()).collect());
        future::join_all(scans.collect::<Vec<_>>())
    });
    let scans = Timeout::new(scans, patience());
    for scanned in runtime.block_on(scans).unwrap() {
        assert_eq!(scanned.into_iter().collect::<BTreeMap<_, _>>(), pairs);
    }
    runtime.shutdown_on_idle().wait().unwrap();
}

pub fn a_scan_sends_the_documented_bytes<C: Client>() {
    let script = Script::start(|mut peer| {
        assert_eq!(peer.receive(), request(None, "k"));
        peer.send(&page(&[("k1", "1"), ("k2", "2")], Some("c1")));
        assert_eq!(peer.receive(), request(Some("c1"), "k"));
        peer.send(&page(&[("k3", "3")], None));
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    let pairs = wait(client.scan("k".to_owned()).collect()).unwrap();
    assert_eq!(pairs, [pair("k1", "1"), pair("k2", "2"), pair("k3", "3")]);
    drop(client);
    script.finish();
}

pub fn a_scan_that_is_never_polled_sends_nothing<C: Client>() {
    let script = Script::start(|mut peer| {
        answer_get_k(&mut peer);
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    let never_polled = client.scan(String::new());
    drop(client.scan(String::new()));
    let value = wait(client.get("k".to_owned()));
    drop((never_polled, client));
    script.finish();
    assert_eq!(value.unwrap().as_deref(), Some("v"));
}

pub fn a_scan_asks_for_a_page_after_the_last_pair_of_the_page_before<C: Client>() {
    let script = Script::start(|mut peer| {
        answer(&mut peer, None, &page(&[("a", "1"), ("b", "2")], Some("c")));
        for _ in 0..2 {
            answer_get_k(&mut peer);
        }
        answer(&mut peer, Some("c"), &page(&[("d", "4")], None));
        answer_get_k(&mut peer);
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    let mut scan = client.scan(String::new());
    let first = wait(next(&mut scan));
    // If the scan has asked for the next page, the server receives that instead of this request.
    let value = wait(client.get("k".to_owned()));
    if value.is_err() {
        script.finish();
        unreachable!("the script ended with an error");
    }
    assert_eq!(first.unwrap(), Some(pair("a", "1")));
    assert_eq!(ready_pair(&mut scan), Some(pair("b", "2")));
    get_k(&mut client);
    assert_eq!(wait(next(&mut scan)).unwrap(), Some(pair("d", "4")));
    assert_eq!(ready_pair(&mut scan), None);
    get_k(&mut client);
    drop((client, scan));
    script.finish();
}

pub fn an_empty_page_is_not_the_end_of_a_scan<C: Client>() {
    const EMPTY: usize = 1000;
    let script = Script::start(|mut peer| {
        answer(&mut peer, None, &page(&NO_PAIRS, Some("0")));
        for n in 0..EMPTY {
            let (cursor, next) = (n.to_string(), (n + 1).to_string());
            answer(&mut peer, Some(&cursor), &page(&NO_PAIRS, Some(&next)));
        }
        let cursor = EMPTY.to_string();
        answer(&mut peer, Some(&cursor), &page(&[("a", "1")], Some("x")));
        answer(&mut peer, Some("x"), &page(&NO_PAIRS, None));
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    let pairs = wait(client.scan(String::new()).collect()).unwrap();
    assert_eq!(pairs, [pair("a", "1")], "the pairs after empty pages");
    drop(client);
    script.finish();
}

/// A stream may do anything when it is polled after its end, except begin again. All of ours return
/// `None` again.
pub fn a_scan_ends_once<C: Client>() {
    for pairs in [&NO_PAIRS[..], &[("a", "1")]] {
        let script = Script::start(move |mut peer| {
            answer(&mut peer, None, &page(pairs, None));
            answer_get_k(&mut peer);
            peer.expect_end();
        });
        let mut client = connect::<C>(script.addr);
        let mut scan = client.scan(String::new());
        for (key, value) in pairs {
            assert_eq!(wait(next(&mut scan)).unwrap(), Some(pair(key, value)));
        }
        for _ in 0..3 {
            assert_eq!(wait(next(&mut scan)).unwrap(), None);
        }
        get_k(&mut client);
        drop((client, scan));
        script.finish();
    }
}

pub fn an_error_ends_a_scan_and_the_connection_goes_on<C: Client>() {
    let script = Script::start(|mut peer| {
        answer(&mut peer, None, &page(&[("a", "1")], Some("c")));
        let refusal = r#"{"Err":{"code":"bad_cursor","message":"begin again"}}"#;
        answer(&mut peer, Some("c"), refusal);
        answer_get_k(&mut peer);
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    let mut scan = client.scan(String::new());
    assert_eq!(wait(next(&mut scan)).unwrap(), Some(pair("a", "1")));
    match wait(next(&mut scan)) {
        Err(KvsError::Server { code, .. }) => assert_eq!(code.as_str(), "bad_cursor"),
        other => panic!("the server refused a page, but the scan returned {other:?}"),
    }
    for _ in 0..3 {
        let after = Task::new(next(&mut scan)).poll();
        assert!(
            matches!(after, Ok(Async::Ready(None))),
            "after its error, a scan returned {after:?}"
        );
    }
    assert_eq!(get_k(&mut client).as_deref(), Some("v"));
    drop((client, scan));
    script.finish();
}

pub fn a_broken_connection_ends_a_scan<C: Client>() {
    let script = Script::start(|mut peer| {
        answer(&mut peer, None, &page(&[("a", "1")], Some("c")));
        assert_eq!(peer.receive(), request(Some("c"), ""));
    });
    let mut client = connect::<C>(script.addr);
    let mut scan = client.scan(String::new());
    assert_eq!(wait(next(&mut scan)).unwrap(), Some(pair("a", "1")));
    let cause = cause(wait(next(&mut scan)));
    assert!(matches!(cause, ConnectionError::Closed), "{cause:?}");
    let after = wait(next(&mut scan));
    assert!(
        matches!(after, Ok(None)),
        "after its error, a scan returned {after:?}"
    );
    script.finish();
}

pub fn a_page_without_values_is_an_error<C: Client>() {
    let script = Script::start(|mut peer| {
        answer(&mut peer, None, r#"{"Scan":{"pairs":[["a",null]]}}"#);
    });
    let mut client = connect::<C>(script.addr);
    let mut scan = client.scan(String::new());
    let error = wait(next(&mut scan)).unwrap_err();
    assert!(error.to_string().contains("no value"), "{error}");
    assert_eq!(wait(next(&mut scan)).unwrap(), None);
    script.finish();
}

pub fn a_scan_dropped_in_the_middle_leaves_the_connection_in_step<C: Client>() {
    let (drop_scan, scan_is_dropped) = mpsc::channel::<()>();
    let script = Script::start(move |mut peer| {
        for _ in 0..20 {
            answer(&mut peer, None, &page(&[("a", "1")], Some("c")));
            // The dropped scan gets its page late, and the requests after it get their own replies.
            assert_eq!(peer.receive(), request(Some("c"), ""));
            scan_is_dropped.recv().unwrap();
            peer.send(&page(&[("late", "2")], Some("d")));
            answer_get_k(&mut peer);
            assert_eq!(
                peer.receive(),
                request(None, "b"),
                "the request of the scan"
            );
            peer.send(&page(&[("b", "3")], None));
        }
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    for _ in 0..20 {
        let mut scan = client.scan(String::new());
        assert_eq!(wait(next(&mut scan)).unwrap(), Some(pair("a", "1")));
        Task::new(next(&mut scan)).expect_not_ready();
        drop(scan);
        drop_scan.send(()).unwrap();
        assert_eq!(get_k(&mut client).as_deref(), Some("v"));
        let pairs = wait(client.scan("b".to_owned()).collect());
        if pairs.is_err() {
            break;
        }
        assert_eq!(
            pairs.unwrap(),
            [pair("b", "3")],
            "the pairs of another scan"
        );
    }
    drop(client);
    script.finish();
}

pub fn scans_and_other_requests_can_be_pending_at_once<C: Client>() {
    let script = Script::start(|mut peer| {
        for expected in [request(None, "a"), request(None, "b"), GET_K.to_owned()] {
            assert_eq!(peer.receive(), expected);
        }
        peer.send(&page(&[("a", "1")], None));
        peer.send(&page(&[("b", "2")], None));
        peer.send(GOT_V);
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    let mut scans = ["a", "b"].map(|prefix| client.scan(prefix.to_owned()));
    for scan in &mut scans {
        Task::new(next(scan)).expect_not_ready();
    }
    assert_eq!(get_k(&mut client).as_deref(), Some("v"));
    let [a, b] = scans.map(|scan| wait(scan.collect()).unwrap());
    assert_eq!((a, b), (vec![pair("a", "1")], vec![pair("b", "2")]));
    drop(client);
    script.finish();
}

pub fn a_scan_outlives_its_handle_and_then_the_socket_closes<C: Client>() {
    let script = Script::start(|mut peer| {
        answer(&mut peer, None, &page(&[("a", "1")], Some("c")));
        answer(&mut peer, Some("c"), &page(&[("b", "2")], None));
        peer.expect_end();
    });
    let mut client = connect::<C>(script.addr);
    let scan = client.scan(String::new());
    drop(client);
    let pairs = wait(scan.collect()).unwrap();
    assert_eq!(pairs, [pair("a", "1"), pair("b", "2")]);
    script.finish();
}

/// Starts a server that answers one request for each page that the test sends.
fn answers_when_told() -> (mpsc::Sender<String>, Script) {
    let (answer, told) = mpsc::channel::<String>();
    let script = Script::start(move |mut peer| {
        while let Ok(page) = told.recv() {
            peer.receive();
            peer.send(&page);
        }
    });
    (answer, script)
}

pub fn a_scan_that_is_not_ready_always_leaves_a_wake_up_behind<C: Client>() {
    let (answer, script) = answers_when_told();
    let mut client = connect::<C>(script.addr);
    let mut scan = client.scan(String::new());
    let mut pairs = Task::new(future::poll_fn(|| scan.poll()));
    // The page before the last one is empty: the scan asks again and is still not ready.
    for reply in [page(&NO_PAIRS, Some("c")), page(&[("a", "1")], None)] {
        // Polls that nothing has asked for are harmless.
        for _ in 0..3 {
            pairs.expect_not_ready();
        }
        answer.send(reply).unwrap();
        pairs.wait_for_wake();
    }
    assert_eq!(pairs.finish().unwrap(), Some(pair("a", "1")));
    drop((answer, scan));
    script.finish();
}

pub fn a_scan_may_move_between_threads_between_polls<C: Client>() {
    let (answer, script) = answers_when_told();
    let mut client = connect::<C>(script.addr);
    let mut scan = client.scan(String::new());
    for n in 0..5 {
        // The tasks of the earlier threads are gone when the next thread polls.
        for _ in 0..2 {
            let poll = move || {
                Task::new(next(&mut scan)).expect_not_ready();
                scan
            };
            scan = thread::spawn(poll).join().unwrap();
        }
        let key = n.to_string();
        answer.send(page(&[(&key, "v")], Some(&key))).unwrap();
        let patience = super::patience();
        let take = move || {
            super::PATIENCE.set(patience);
            (wait(next(&mut scan)).unwrap(), scan)
        };
        let taken;
        (taken, scan) = thread::spawn(take).join().unwrap();
        assert_eq!(taken, Some(pair(&key, "v")));
    }
    drop((answer, scan));
    script.finish();
}
