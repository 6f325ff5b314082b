//! A server: its flags, its directory, its log and how it stops.

use std::fs;
use std::iter;
use std::net::{TcpListener, TcpStream};
use std::time::Instant;

use predicates::prelude::*;
use predicates::str::contains;

use super::{path, server};
use crate::common::{PATIENCE, ServerProcess, Wire};

#[test]
fn the_server_refuses_invalid_arguments_with_one_line() {
    for (args, part) in [
        ("--unknown", "--unknown"),
        ("more", "more"),
        ("--addr nowhere", "--addr <HOST:PORT>"),
        ("--engine redis", "kvs, sled"),
        ("--sync sometimes", "always, everysec, never"),
        ("--max-in-flight 0", "--max-in-flight"),
        ("--frame-time soon", "--frame-time"),
        ("--all", "--verify"),
        ("--json", "--verify"),
    ] {
        server(args).code(2).stderr(contains(part));
    }
}

#[test]
fn the_server_listens_on_a_host_by_name() {
    let dir = tempfile::tempdir().unwrap();
    // The last address wins, here over the one that `start` gives.
    let server = ServerProcess::start(dir.path(), &["--addr", "localhost:0"]);
    assert!(server.addr.ip().is_loopback());
    let nowhere = format!("--addr kvs.invalid:0 --data-dir {}", path(dir.path()));
    super::server(&nowhere)
        .code(1)
        .stderr(contains("kvs.invalid:0"));
}

#[test]
fn the_server_refuses_an_address_in_use() {
    let dir = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = taken.local_addr().unwrap().to_string();
    server(&format!("--addr {addr} --data-dir {}", path(dir.path())))
        .stderr(contains(&addr).and(contains("in use")));
}

#[test]
fn the_server_refuses_a_data_directory_that_it_cannot_use() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, "somebody's text").unwrap();
    for data_dir in [path(&file), "/proc/self", "/proc/nothing"] {
        server(&format!("--addr 127.0.0.1:0 --data-dir {data_dir}")).stderr(contains(data_dir));
    }
    assert_eq!(fs::read_to_string(&file).unwrap(), "somebody's text");
}

#[test]
fn the_server_refuses_a_directory_of_the_other_engine() {
    for (first, second) in [("kvs", "sled"), ("sled", "kvs"), ("sled", "tokio-fs")] {
        let dir = tempfile::tempdir().unwrap();
        ServerProcess::start(dir.path(), &["--engine", first]).kill();
        let data_dir = path(dir.path());
        server(&format!(
            "--addr 127.0.0.1:0 --engine {second} --data-dir {data_dir}"
        ))
        .stderr(contains(format!("--engine {first}")));
    }
}

#[test]
fn the_server_refuses_a_directory_in_use() {
    let dir = tempfile::tempdir().unwrap();
    for engine in ["kvs", "sled", "tokio-fs"] {
        let dir = dir.path().join(engine);
        let _first = ServerProcess::start(&dir, &["--engine", engine]);
        server(&format!("--addr 127.0.0.1:0 --data-dir {}", path(&dir))).stderr(contains("in use"));
    }
}

#[test]
fn the_engine_on_tokio_fs_says_its_name_and_leaves_files_for_kvs() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(dir.path(), &["--engine", "tokio-fs"]);
    let mut client = kvs::client::blocking::KvsClient::connect(server.addr).unwrap();
    client.set("key".to_owned(), "value".to_owned()).unwrap();
    let engine = client.stats().unwrap().engine.engine;
    assert_eq!(engine.as_deref(), Some("tokio-fs"));
    assert!(server.kill().contains("engine tokio-fs"));
    let mut server = ServerProcess::start(dir.path(), &[]);
    let mut client = kvs::client::blocking::KvsClient::connect(server.addr).unwrap();
    assert_eq!(
        client.get("key".to_owned()).unwrap().as_deref(),
        Some("value")
    );
    assert!(server.kill().contains("engine kvs"));
}

#[test]
fn without_an_engine_the_server_uses_the_one_that_is_there() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = ServerProcess::start(dir.path(), &[]);
    assert!(first.kill().contains("engine kvs"));
    let dir = tempfile::tempdir().unwrap();
    ServerProcess::start(dir.path(), &["--engine", "sled"]).kill();
    let mut again = ServerProcess::start(dir.path(), &[]);
    assert!(again.kill().contains("engine sled"));
}

#[test]
fn the_server_logs_its_version_engine_address_and_data_directory() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(dir.path(), &["--engine", "sled"]);
    let log = server.kill();
    for part in [
        env!("CARGO_PKG_VERSION"),
        "sled",
        &server.addr.to_string(),
        path(&dir.path().canonicalize().unwrap()),
    ] {
        assert!(log.contains(part), "{part:?} is not in {log:?}");
    }
}

#[test]
fn a_second_signal_stops_the_server_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = ServerProcess::start(dir.path(), &["--shutdown-time", "1000"]);
    let _deaf = Wire::deaf(server.addr);
    server.signal("TERM");
    while TcpStream::connect(server.addr).is_ok() {}
    // Signals within a second count as the same request.
    let code = iter::from_fn(|| {
        server.signal("INT");
        Some(server.try_wait())
    });
    let deadline = Instant::now() + PATIENCE;
    let mut code = code.take_while(|_| Instant::now() < deadline);
    assert_eq!(code.find_map(|code| code), Some(130));
}
