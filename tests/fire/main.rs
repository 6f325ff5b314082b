//! The server among peers that are slow, broken, hostile or many.

#[path = "../common/mod.rs"]
mod common;

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::iter;
use std::net::Shutdown;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use common::{ANY_PORT, ServerProcess, TestServer, Wire, frame, is_kept_alive};
use futures::Future;
use futures::sync::oneshot;
use kvs::client::blocking::KvsClient;
use kvs::engine::EngineFuture;
use kvs::protocol::MAX_FRAME_LEN;
use kvs::server::Limits;
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine, KvsError, KvsServer, Token};
use tempfile::TempDir;

type Store = KvStore<SharedQueueThreadPool>;

const GET_K: &str = r#"{"Get":{"key":"k"}}"#;

fn serve(limits: Limits) -> (TempDir, TestServer) {
    let dir = tempfile::tempdir().unwrap();
    let server = KvsServer::new(Store::open(dir.path(), 2).unwrap()).limits(limits);
    (dir, TestServer::serve(server))
}

fn expect_error(peer: &mut Wire, code: &str) {
    let reply = peer.receive();
    let expected = format!(r#"{{"Err":{{"code":"{code}","#);
    assert!(reply.starts_with(&expected), "{reply}");
}

fn has_code(result: kvs::Result<()>, expected: &str) -> bool {
    matches!(result, Err(KvsError::Server { code, .. }) if code.as_str() == expected)
}

/// Waits until the server has no more connections than that.
fn wait_for_connections(client: &mut KvsClient, expected: u64) {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        let stats = client.stats().unwrap();
        if stats.connections == expected {
            return;
        }
        assert!(Instant::now() < deadline, "{stats}");
    }
}

#[test]
fn a_frame_that_takes_too_long_is_an_error_and_the_end() {
    let limits = Limits {
        frame_time: Duration::from_millis(100),
        ..Limits::default()
    };
    let (_dir, server) = serve(limits);
    let mut good = KvsClient::connect(server.addr).unwrap();
    let mut slow = Wire::connect(server.addr);
    slow.send(GET_K);
    assert_eq!(slow.receive(), r#"{"Get":null}"#);
    slow.0.write_all(&frame(GET_K)[..7]).unwrap();
    expect_error(&mut slow, "too_slow");
    slow.expect_end();
    // Whoever has begun no frame may take all the time there is.
    assert_eq!(good.get("k".to_owned()).unwrap(), None);
}

#[test]
fn a_frame_byte_by_byte_has_no_more_time_than_any_other() {
    let limits = Limits {
        frame_time: Duration::from_millis(100),
        ..Limits::default()
    };
    let (_dir, server) = serve(limits);
    let mut slow = Wire::connect(server.addr);
    let mut writer = slow.0.try_clone().unwrap();
    // It takes many seconds to send that.
    let writer = thread::spawn(move || {
        let prefix = (MAX_FRAME_LEN as u32).to_be_bytes();
        let mut bytes = prefix
            .into_iter()
            .chain(iter::repeat_n(b'x', MAX_FRAME_LEN));
        bytes.any(|byte| writer.write_all(&[byte]).is_err())
    });
    expect_error(&mut slow, "too_slow");
    drop(slow);
    let was_closed = writer.join().unwrap();
    assert!(was_closed);
}

#[test]
fn whoever_takes_a_little_now_and_then_has_no_more_time_than_any_other() {
    let limits = Limits {
        reply_time: Duration::from_secs(2),
        ..Limits::default()
    };
    let (_dir, server) = serve(limits);
    let mut good = KvsClient::connect(server.addr).unwrap();
    let value = "x".repeat(MAX_FRAME_LEN - 100);
    good.set("k".to_owned(), value).unwrap();
    let mut slow = Wire::connect(server.addr);
    slow.send(GET_K);
    let is_over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            // Eight seconds for a reply, of which the system buffers about a half.
            while !is_over.load(Ordering::Relaxed) {
                let _ = slow.0.read(&mut [0; 2048]).unwrap();
                thread::sleep(Duration::from_millis(1));
            }
        });
        wait_for_connections(&mut good, 1);
        is_over.store(true, Ordering::Relaxed);
    });
}

/// Runs `job` while the server is stopped, and for longer than the second that its peers have.
#[cfg(target_os = "linux")]
fn while_stopped(server: &ServerProcess, job: impl FnOnce()) {
    server.signal("STOP");
    let stat = format!("/proc/{}/stat", server.id());
    let deadline = Instant::now() + Duration::from_secs(20);
    while !fs::read_to_string(&stat).unwrap().contains(") T ") {
        assert!(Instant::now() < deadline, "it does not stop");
        thread::yield_now();
    }
    job();
    // The test needs the time to pass while the server is stopped.
    thread::sleep(Duration::from_secs(2));
    server.signal("CONT");
}

#[test]
#[cfg(target_os = "linux")]
fn a_server_that_was_stopped_reads_what_has_arrived_before_it_looks_at_the_clock() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start(dir.path(), &["--frame-time=1", "--reply-time=1"]);
    // The first value fits into the buffers of the system, the second one does not.
    for len in [1, 8_000_000] {
        let value = "x".repeat(len);
        let set = frame(format!(r#"{{"Set":{{"key":"k","value":"{value}"}}}}"#));
        let get = format!(r#"{{"Get":"{value}"}}"#);
        let mut peer = Wire::connect(server.addr);
        // The server has read the beginning of the next frame with the request that it has
        // answered.
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

        // The server has sent as much as the peer has room for. The peer takes it while the server
        // is stopped.
        peer.send(GET_K);
        peer.0.peek(&mut [0]).unwrap();
        while_stopped(&server, || ());
        assert_eq!(peer.receive(), get);
    }
}

#[test]
#[cfg(target_os = "linux")]
fn a_pipelining_peer_loses_no_time_however_often_the_server_is_stopped() {
    // Once the peer is slow with a frame, and once with taking a reply.
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

        // The peer has always sent the beginning of a frame more than it has replies for.
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
            // After that, the only network thread has seen that the time of the peer is over.
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
#[cfg(target_os = "linux")]
fn a_server_that_was_stopped_lets_in_who_has_shown_the_token_meanwhile() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("token");
    fs::write(&file, "secret").unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let token_file = format!("--auth-token-file={}", file.display());
    let data = dir.path().join("data");
    let server = ServerProcess::start(&data, &["--frame-time=1", &token_file]);
    let mut known = Wire::connect(server.addr);
    let auth = r#"{"Auth":{"token":"secret"}}"#;
    known.send(auth);
    assert_eq!(known.receive(), r#""Auth""#);
    let mut peer = Wire::connect(server.addr);
    // Both are accepted by now: the server counts them.
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        known.send(r#"{"Stats":{}}"#);
        if known.receive().contains(r#""connections":2"#) {
            break;
        }
        assert!(Instant::now() < deadline);
    }
    while_stopped(&server, || peer.send(auth));
    assert_eq!(peer.receive(), r#""Auth""#);
}

#[test]
#[cfg(target_os = "linux")]
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
    // Once the server accepts no connection any more, it has begun to stop.
    let deadline = Instant::now() + Duration::from_secs(20);
    while KvsClient::connect(server.addr).is_ok() {
        assert!(Instant::now() < deadline, "it does not begin to stop");
    }
    // Together with the time that this adds, the server is stopped for longer than it may take.
    while_stopped(&server, || thread::sleep(Duration::from_secs(3)));
    assert_eq!(peer.receive(), format!(r#"{{"Get":"{value}"}}"#));
    peer.expect_end();
    assert_eq!(server.wait(), Some(0));
}

#[test]
fn a_peer_that_goes_on_after_its_end_is_cut_off() {
    let (_dir, server) = serve(Limits::default());
    let mut good = KvsClient::connect(server.addr).unwrap();
    let mut bad = Wire::connect(server.addr);
    bad.0.write_all(&[0xff; 4]).unwrap();
    expect_error(&mut bad, "frame_too_long");
    // There is always something to be read from it.
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
fn limits_may_be_as_small_and_as_large_as_can_be() {
    // The longest time of all, and one that is merely too long for a timer.
    for time in [Duration::MAX, Duration::from_secs(1 << 30)] {
        let limits = Limits {
            in_flight: 0,
            frame_time: time,
            reply_time: time,
            shutdown_time: time,
            connections: usize::MAX,
            memory_bytes: usize::MAX,
            frame_bytes: usize::MAX,
            threads: 0,
        };
        let (_dir, server) = serve(limits);
        let mut client = Wire::connect(server.addr);
        let mut other = KvsClient::connect(server.addr).unwrap();
        let frame = frame(GET_K);
        let (beginning, end) = frame.split_at(7);
        client.0.write_all(beginning).unwrap();
        for _ in 0..10 {
            assert_eq!(other.get("k".to_owned()).unwrap(), None);
        }
        client.0.write_all(end).unwrap();
        assert_eq!(client.receive(), r#"{"Get":null}"#);
    }
}

#[test]
fn a_connection_too_many_is_told_so_until_another_one_goes() {
    let limits = Limits {
        connections: 2,
        ..Limits::default()
    };
    let (_dir, server) = serve(limits);
    let mut first = KvsClient::connect(server.addr).unwrap();
    let mut second = KvsClient::connect(server.addr).unwrap();
    assert_eq!(first.get("k".to_owned()).unwrap(), None);
    assert_eq!(second.get("k".to_owned()).unwrap(), None);
    let mut third = Wire::connect(server.addr);
    expect_error(&mut third, "too_many_connections");
    third.expect_end();
    drop(first);
    // The server hears of it some time later.
    let mut gets = (0..).map(|_| {
        let mut client = KvsClient::connect(server.addr)?;
        client.get("k".to_owned())
    });
    assert!(gets.any(|got| got.is_ok()));
    assert_eq!(second.get("k".to_owned()).unwrap(), None);
}

#[test]
fn not_all_who_are_too_many_are_told_so_at_a_time() {
    let limits = Limits {
        connections: 1,
        ..Limits::default()
    };
    let (_dir, server) = serve(limits);
    let mut good = KvsClient::connect(server.addr).unwrap();
    assert_eq!(good.get("k".to_owned()).unwrap(), None);
    // Each of them would keep a descriptor busy until it has noticed.
    let peers: Vec<_> = (0..100).map(|_| Wire::connect(server.addr)).collect();
    let told = peers
        .into_iter()
        .filter_map(|mut peer| peer.try_receive().ok());
    assert!((1..100).contains(&told.count()));
    assert_eq!(good.get("k".to_owned()).unwrap(), None);
}

#[test]
fn peers_leave_the_engine_the_descriptors_that_it_needs() {
    let dir = tempfile::tempdir().unwrap();
    let server = ServerProcess::start_with_limit(dir.path(), 64);
    let mut good = KvsClient::connect(server.addr).unwrap();
    good.set("k".to_owned(), "v".to_owned()).unwrap();
    let _many: Vec<_> = (0..200).map(|_| Wire::connect(server.addr)).collect();
    // The log goes on in new files, and is compacted into others.
    let value = "x".repeat(1_000_000);
    let mut stats = good.stats().unwrap();
    while stats.engine.seconds_since_compaction.is_none() {
        good.set("long".to_owned(), value.clone()).unwrap();
        stats = good.stats().unwrap();
    }
    // Whoever got no connection was told so.
    assert!(stats.errors["too_many_connections"] > 0, "{stats}");
}

#[test]
fn memory_for_all_connections_together_has_a_limit() {
    let limits = Limits {
        memory_bytes: 1024 * 1024,
        ..Limits::default()
    };
    let (_dir, server) = serve(limits);
    let mut good = KvsClient::connect(server.addr).unwrap();
    let mut greedy = Wire::connect(server.addr);
    let long = frame("x".repeat(4 * 1024 * 1024));
    let mut writer = greedy.0.try_clone().unwrap();
    // It may be closed before all of it has gone.
    let writer = thread::spawn(move || drop(writer.write_all(&long)));
    expect_error(&mut greedy, "overloaded");
    drop(greedy);
    writer.join().unwrap();
    good.set("k".to_owned(), "v".to_owned()).unwrap();
    assert_eq!(good.get("k".to_owned()).unwrap().as_deref(), Some("v"));
}

#[test]
fn who_is_refused_for_want_of_memory_is_gone_soon_although_there_is_none() {
    let limits = Limits {
        memory_bytes: 1024 * 1024,
        ..Limits::default()
    };
    let (_dir, server) = serve(limits);
    let mut good = KvsClient::connect(server.addr).unwrap();
    let mut greedy = Wire::connect(server.addr);
    let long = frame("x".repeat(1_000_000));
    greedy.0.write_all(&long[..600_000]).unwrap();
    while good.stats().unwrap().connection_bytes < 500_000 {}
    let mut late = Wire::connect(server.addr);
    // It may be closed before all of it has gone.
    let _ = late.0.write_all(&long[..900_000]);
    expect_error(&mut late, "overloaded");
    wait_for_connections(&mut good, 2);
}

#[test]
fn a_value_that_there_is_no_memory_for_is_not_sent() {
    let limits = Limits {
        memory_bytes: 1024 * 1024,
        ..Limits::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path(), 2).unwrap();
    let value = "x".repeat(2 * 1024 * 1024);
    store.set("long".to_owned(), value).wait().unwrap();
    let server = TestServer::serve(KvsServer::new(store).limits(limits));
    let mut client = Wire::connect(server.addr);
    client.send(r#"{"Get":{"key":"long"}}"#);
    expect_error(&mut client, "overloaded");
    client.expect_end();
}

/// An engine whose writes wait until the test says so.
#[derive(Clone, Default)]
struct SlowWrites(Arc<Mutex<Vec<oneshot::Sender<EngineFuture<()>>>>>);

impl SlowWrites {
    /// Waits until that many writes are under way.
    fn wait_for(&self, writes: usize) {
        while self.0.lock().unwrap().len() < writes {
            thread::yield_now();
        }
    }

    fn finish(&self) {
        for write in self.0.lock().unwrap().drain(..) {
            // Who asked for it may be gone.
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
    // A megabyte is under way, and no more, however long that takes.
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
fn what_the_engine_still_writes_counts_after_its_connection_broke() {
    let engine = SlowWrites::default();
    let server = TestServer::serve(KvsServer::new(engine.clone()));
    let mut good = KvsClient::connect(server.addr).unwrap();
    let mut bad = Wire::connect(server.addr);
    // Closing with a reply unread resets the connection.
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
fn a_peer_that_never_reads_is_read_no_more_and_closed() {
    let limits = Limits {
        reply_time: Duration::from_millis(200),
        ..Limits::default()
    };
    let (_dir, server) = serve(limits);
    let mut good = KvsClient::connect(server.addr).unwrap();
    good.set("k".to_owned(), "x".repeat(100_000)).unwrap();
    let mut deaf = Wire::connect(server.addr);
    let request = frame(GET_K).repeat(100);
    let error = (0..).find_map(|_| {
        // A megabyte of its replies at most is in memory, and one more, whatever it has asked for.
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
fn a_flood_of_short_frames_is_left_in_the_socket() {
    let (_dir, server) = serve(Limits::default());
    let mut good = KvsClient::connect(server.addr).unwrap();
    let mut flood = Wire::connect(server.addr);
    let mut writer = flood.0.try_clone().unwrap();
    let writer = thread::spawn(move || {
        // The server closes it when it has answered enough of them.
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
#[cfg(target_os = "linux")]
fn a_peer_that_is_silent_is_asked_whether_it_is_still_there() {
    let (_dir, server) = serve(Limits::default());
    let mut client = Wire::connect(server.addr);
    client.send(GET_K);
    client.receive();
    let (own, peer) = (server.addr.port(), client.0.local_addr().unwrap().port());
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_kept_alive(|local, remote| (local, remote) == (own, peer)) {
        assert!(Instant::now() < deadline);
        thread::yield_now();
    }
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
        expect_error(&mut client, "engine");
        client.send(r#"{"Remove":{"key":"k"}}"#);
        assert_eq!(client.receive(), r#""Remove""#);
    }
}

#[test]
fn without_the_token_nothing_is_answered() {
    let dir = tempfile::tempdir().unwrap();
    let token = Token::new("secret").unwrap();
    let server = KvsServer::new(Store::open(dir.path(), 2).unwrap()).token(token.clone());
    let server = TestServer::serve(server);

    let mut stranger = Wire::connect(server.addr);
    stranger.send(GET_K);
    expect_error(&mut stranger, "unauthorized");
    stranger.expect_end();
    // Nonsense is no token either.
    let mut babbler = Wire::connect(server.addr);
    babbler.send("x");
    expect_error(&mut babbler, "unauthorized");
    babbler.expect_end();
    let mut liar = KvsClient::connect(server.addr).unwrap();
    let wrong = liar.auth(&Token::new("guess").unwrap());
    assert!(has_code(wrong, "unauthorized"));
    assert!(liar.get("k".to_owned()).is_err());
    // Nor may a stranger send much.
    let mut long = Wire::connect(server.addr);
    long.0.write_all(&100_000_u32.to_be_bytes()).unwrap();
    expect_error(&mut long, "frame_too_long");

    let mut friend = KvsClient::connect(server.addr).unwrap();
    friend.auth(&token).unwrap();
    friend.set("k".to_owned(), "v".to_owned()).unwrap();
    assert_eq!(friend.stats().unwrap().wrong_tokens, 1);
}

#[test]
fn without_the_token_no_time_can_be_won() {
    let dir = tempfile::tempdir().unwrap();
    let limits = Limits {
        frame_time: Duration::from_millis(200),
        ..Limits::default()
    };
    let server = KvsServer::new(Store::open(dir.path(), 2).unwrap()).limits(limits);
    let server = TestServer::serve(server.token(Token::new("secret").unwrap()));

    let mut silent = Wire::connect(server.addr);
    expect_error(&mut silent, "too_slow");
    silent.expect_end();
}

#[test]
fn others_than_this_machine_need_a_token() {
    let dir = tempfile::tempdir().unwrap();
    let everywhere = ([0, 0, 0, 0], 0).into();
    let open = || Store::open(dir.path(), 2).unwrap();
    let refused = KvsServer::new(open()).bind(everywhere).err();
    assert!(matches!(refused, Some(KvsError::Unprotected { .. })));
    let token = Token::new("secret").unwrap();
    KvsServer::new(open())
        .token(token)
        .bind(everywhere)
        .unwrap();
}

#[test]
fn a_token_file_that_others_can_read_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    fs::write(&path, " secret\n").unwrap();
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o644);
    let error = Token::from_file(&path).unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
    mode(0o600);
    assert_eq!(Token::from_file(&path).unwrap().reveal(), "secret");
    fs::write(&path, "\n").unwrap();
    assert!(matches!(
        Token::from_file(&path),
        Err(KvsError::BadToken { .. })
    ));
}

/// Creates a file with a token that only its owner can read.
fn token_file(dir: &Path, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join("token");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// Returns the reasons why a text is no token, from a file and otherwise.
fn reasons(text: &str) -> [String; 2] {
    let dir = tempfile::tempdir().unwrap();
    let from_file = Token::from_file(&token_file(dir.path(), text));
    [from_file, Token::new(text)].map(|token| token.unwrap_err().to_string())
}

#[test]
fn a_token_is_the_same_with_white_space_around_it() {
    let dir = tempfile::tempdir().unwrap();
    for text in ["se cret", " se cret", "se cret\r\n", "\u{feff}se cret \n\n"] {
        let from_file = Token::from_file(&token_file(dir.path(), text));
        for token in [from_file, Token::new(text)] {
            assert_eq!(token.unwrap().reveal(), "se cret", "{text:?}");
        }
    }
    for text in ["", " \n"] {
        for reason in reasons(text) {
            assert!(reason.contains("is empty"), "{reason}");
        }
    }
    for text in ["two\nlines", "zero\0"] {
        for reason in reasons(text) {
            assert!(reason.contains("control character"), "{reason}");
        }
    }
}

#[test]
fn a_token_that_no_client_could_show_is_refused() {
    // The rest of the frame takes 21 bytes, and a quote takes two.
    for longest in ["t".repeat(4096 - 21), "\"".repeat((4096 - 21) / 2)] {
        let token = Token::new(&longest[..]).unwrap();
        let dir = tempfile::tempdir().unwrap();
        let server = KvsServer::new(Store::open(dir.path(), 2).unwrap());
        let server = TestServer::serve(server.token(token.clone()));
        let mut client = KvsClient::connect(server.addr).unwrap();
        client.auth(&token).unwrap();
        for reason in reasons(&format!("{longest}\"")) {
            assert!(
                reason.contains("token") && reason.contains("4096"),
                "{reason}"
            );
        }
    }
    // If the limit on frames is lower, so is the limit on tokens.
    let limits = Limits {
        frame_bytes: 100,
        ..Limits::default()
    };
    let dir = tempfile::tempdir().unwrap();
    let server = KvsServer::new(Store::open(dir.path(), 2).unwrap()).limits(limits);
    let refused = server
        .token(Token::new("t".repeat(80)).unwrap())
        .bind(ANY_PORT);
    let reason = refused.err().unwrap().to_string();
    assert!(
        reason.contains("101 bytes") && reason.contains("100"),
        "{reason}"
    );
}

#[test]
fn what_holds_no_token_is_refused_with_its_name() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |path: &Path, expected: &str| {
        let error = Token::from_file(path).unwrap_err();
        assert!(matches!(error, KvsError::BadToken { .. }), "{error}");
        let error = error.to_string();
        assert!(
            error.contains(path.to_str().unwrap()) && error.contains(expected),
            "{error}"
        );
    };
    for path in [dir.path(), Path::new("/dev/zero")] {
        refused(path, "neither a file nor a pipe");
    }
    refused(&token_file(dir.path(), b"\xff"), "is not UTF-8");
    let file = token_file(dir.path(), "t");
    // Only the beginning of a long file is read.
    fs::OpenOptions::new()
        .write(true)
        .open(&file)
        .unwrap()
        .set_len(1 << 30)
        .unwrap();
    refused(&file, "is longer than");
    fs::remove_file(&file).unwrap();
    let error = Token::from_file(&file).unwrap_err();
    assert!(matches!(error, KvsError::Io { .. }), "{error}");
}

/// Kubernetes mounts a secret as a link to a link, so that all files change at once.
#[test]
fn a_token_is_read_through_links_with_the_mode_of_the_file() {
    let dir = tempfile::tempdir().unwrap();
    let version = dir.path().join("..2026");
    fs::create_dir(&version).unwrap();
    let file = token_file(&version, "secret");
    symlink("..2026", dir.path().join("..data")).unwrap();
    let link = dir.path().join("token");
    symlink("..data/token", &link).unwrap();
    let mode = |mode| fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    mode(0o400);
    assert_eq!(Token::from_file(&link).unwrap().reveal(), "secret");
    mode(0o444);
    let error = Token::from_file(&link).unwrap_err().to_string();
    assert!(error.contains("mode 444"), "{error}");
}

#[test]
fn the_server_counts_what_it_does() {
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

/// Whatever was acknowledged before or during the shutdown is there afterwards.
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
