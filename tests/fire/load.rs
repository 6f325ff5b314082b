//! Clients that send many requests, and the numbers that the server counts.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use kvs::client::blocking::KvsClient;
use kvs::server::Limits;

use super::{GET_K, serve};
use crate::common::{ServerProcess, Wire, frame};

#[test]
fn a_flood_of_short_frames_is_left_in_the_socket() {
    let (_dir, server) = serve(Limits::default());
    let mut good = KvsClient::connect(server.addr).unwrap();
    let mut flood = Wire::connect(server.addr);
    let mut writer = flood.0.try_clone().unwrap();
    let writer = thread::spawn(move || {
        // The server closes the connection after enough errors.
        let _ = writer.write_all(&frame("").repeat(300_000));
        let _ = writer.shutdown(Shutdown::Write);
    });
    for _ in 0..30_000 {
        flood.receive();
    }
    let stats = good.stats().unwrap();
    assert!(stats.connection_bytes < 256 * 1024, "{stats}");
    drop(flood);
    writer.join().unwrap();
}

#[test]
fn one_deep_pipeline_does_not_keep_the_others_waiting() {
    let (_dir, server) = serve(Limits::default());
    let mut deep = Wire::connect(server.addr);
    let mut writer = deep.0.try_clone().unwrap();
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let requests = frame(GET_K).repeat(1000);
            while !is_over.load(Ordering::Relaxed) {
                writer.write_all(&requests).unwrap();
            }
            writer.shutdown(std::net::Shutdown::Write).unwrap();
        });
        scope.spawn(|| deep.0.read_to_end(&mut Vec::new()).unwrap());
        let mut other = KvsClient::connect(server.addr).unwrap();
        for _ in 0..100 {
            assert_eq!(other.get("k".to_owned()).unwrap(), None);
        }
        is_over.store(true, Ordering::Relaxed);
    });
}

#[test]
fn the_server_counts_requests_errors_and_keys() {
    let (_dir, server) = serve(Limits::default());
    let mut client = KvsClient::connect(server.addr).unwrap();
    client.set("k".to_owned(), "v".to_owned()).unwrap();
    client.get("k".to_owned()).unwrap();
    client.get("k".to_owned()).unwrap();
    client.remove("other".to_owned()).unwrap_err();
    let stats = client.stats().unwrap();
    assert_eq!(stats.connections, 1);
    assert_eq!(stats.requests["Get"], 2);
    assert_eq!(stats.requests["Set"], 1);
    assert_eq!(stats.errors["key_not_found"], 1);
    assert_eq!(stats.engine.engine.as_deref(), Some("kvs"));
    assert_eq!(stats.engine.keys, Some(1));
    assert_eq!(stats.engine.live_bytes, Some(24 + 2));
}

/// Every write that was acknowledged before or during the shutdown is in the store afterwards.
#[test]
fn a_signal_under_load_loses_no_acknowledged_write() {
    for signal in ["TERM", "INT", "HUP"] {
        let dir = tempfile::tempdir().unwrap();
        let mut server = ServerProcess::start(dir.path(), &["--sync", "always"]);
        let writers: Vec<_> = (0..4)
            .map(|n| {
                let mut client = KvsClient::connect(server.addr).unwrap();
                thread::spawn(move || {
                    let writes = (0..).take_while(|i| {
                        let set = client.set(format!("{n}-{i}"), i.to_string());
                        set.is_ok()
                    });
                    writes.count()
                })
            })
            .collect();
        let mut client = KvsClient::connect(server.addr).unwrap();
        while client.stats().unwrap().requests["Set"] < 200 {}
        assert_eq!(server.stop(signal), Some(0));

        let counts: Vec<_> = writers
            .into_iter()
            .map(|writer| writer.join().unwrap())
            .collect();
        let server = ServerProcess::start(dir.path(), &[]);
        let mut client = KvsClient::connect(server.addr).unwrap();
        for (n, count) in counts.into_iter().enumerate() {
            for i in 0..count {
                let got = client.get(format!("{n}-{i}")).unwrap();
                assert_eq!(got, Some(i.to_string()));
            }
        }
    }
}
