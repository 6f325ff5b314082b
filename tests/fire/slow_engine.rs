//! An engine that is slow, or that panics.

use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

use futures::sync::oneshot;
use kvs::client::blocking::KvsClient;
use kvs::engine::EngineFuture;
use kvs::{KvsEngine, KvsServer};

use super::{GET_K, wait_for_connections};
use crate::common::{TestServer, Wire, frame};

/// An engine whose writes are pending until the test finishes them.
#[derive(Clone, Default)]
struct SlowWrites(Arc<Mutex<Vec<oneshot::Sender<EngineFuture<()>>>>>);

impl SlowWrites {
    /// Waits until `writes` writes are pending.
    fn wait_for(&self, writes: usize) {
        while self.0.lock().unwrap().len() < writes {
            thread::yield_now();
        }
    }

    fn finish(&self) {
        for write in self.0.lock().unwrap().drain(..) {
            // The connection that waits for it may be closed.
            let _ = write.send(EngineFuture::done(Ok(())));
        }
    }
}

impl KvsEngine for SlowWrites {
    fn get(&self, _: String) -> EngineFuture<Option<String>> {
        EngineFuture::done(Ok(None))
    }
    fn set(&self, _: String, _: String) -> EngineFuture<()> {
        let (write, future) = EngineFuture::pending();
        self.0.lock().unwrap().push(write);
        future
    }
    fn remove(&self, key: String) -> EngineFuture<()> {
        self.set(key, String::new())
    }
    fn keeps_order(&self) -> bool {
        true
    }
}

#[test]
fn writes_that_the_engine_is_slow_with_do_not_pile_up() {
    let engine = SlowWrites::default();
    let server = TestServer::serve(KvsServer::new(engine.clone()));
    let mut good = KvsClient::connect(server.addr).unwrap();
    let mut greedy = Wire::connect(server.addr);
    let mut writer = greedy.0.try_clone().unwrap();
    let writer = thread::spawn(move || {
        let set = format!(
            r#"{{"Set":{{"key":"k","value":"{}"}}}}"#,
            "x".repeat(100_000)
        );
        writer.write_all(&frame(set).repeat(200)).unwrap();
    });
    // The server passes at most a megabyte of writes to the engine, even if the engine never
    // finishes them.
    engine.wait_for(11);
    for _ in 0..100 {
        let stats = good.stats().unwrap();
        assert!(stats.connection_bytes > 1_000_000, "{stats}");
        assert!(stats.connection_bytes < 2_000_000, "{stats}");
    }
    assert_eq!(engine.0.lock().unwrap().len(), 11);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                engine.finish();
            }
        });
        for _ in 0..200 {
            assert_eq!(greedy.receive(), r#""Set""#);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    writer.join().unwrap();
}

#[test]
fn pending_writes_count_after_their_connection_broke() {
    let engine = SlowWrites::default();
    let server = TestServer::serve(KvsServer::new(engine.clone()));
    let mut good = KvsClient::connect(server.addr).unwrap();
    let mut bad = Wire::connect(server.addr);
    // A close with an unread reply resets the connection.
    bad.send(GET_K);
    bad.0.peek(&mut [0]).unwrap();
    bad.send(&format!(
        r#"{{"Set":{{"key":"k","value":"{}"}}}}"#,
        "x".repeat(1_000_000)
    ));
    engine.wait_for(1);
    drop(bad);
    for _ in 0..100 {
        let stats = good.stats().unwrap();
        assert!(stats.connection_bytes > 900_000, "{stats}");
    }
    engine.finish();
    wait_for_connections(&mut good, 1);
    assert!(good.stats().unwrap().connection_bytes < 100_000);
}

#[test]
fn a_panic_of_the_engine_costs_that_request_an_error_and_nothing_else() {
    #[derive(Clone)]
    struct Panicking;
    impl KvsEngine for Panicking {
        fn get(&self, _: String) -> EngineFuture<Option<String>> {
            panic!("an engine that panics, as the test wants it")
        }
        fn set(&self, _: String, _: String) -> EngineFuture<()> {
            EngineFuture::done(Ok(()))
        }
        fn remove(&self, _: String) -> EngineFuture<()> {
            EngineFuture::done(Ok(()))
        }
    }
    let server = TestServer::serve(KvsServer::new(Panicking));
    let mut client = Wire::connect(server.addr);
    for _ in 0..10 {
        client.send(GET_K);
        client.expect_error("engine");
        client.send(r#"{"Remove":{"key":"k"}}"#);
        assert_eq!(client.receive(), r#""Remove""#);
    }
}
