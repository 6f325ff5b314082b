//! A limit on the size of files, and a port and a directory that are still in use.

use std::env;
use std::net::TcpListener;
use std::process::Command;

use assert_cmd::cargo::cargo_bin;
use kvs::client::blocking::KvsClient;
use nix::sys::signal::Signal;

use super::{Program, server};
use crate::common::{ANY_PORT, ServerProcess};

#[test]
fn a_limit_on_the_size_of_files_fails_writes_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("sh");
    let script = r#"ulimit -f 200; exec "$0" "$@""#;
    let limited = server(dir.path());
    command.args(["-c", script]);
    command.arg(limited.get_program()).args(limited.get_args());
    let mut limited = Program::spawn(&mut command);
    let mut client = KvsClient::connect(limited.addr()).unwrap();
    let value = "x".repeat(1000);
    // Together the values are longer than a file may be.
    for n in 0..300 {
        client.set(n.to_string(), value.clone()).unwrap();
        // This value alone is longer than a file may be.
        let refused = client.set("long".to_owned(), "x".repeat(200_000));
        let error = refused.unwrap_err();
        assert!(matches!(error, kvs::KvsError::Server { .. }), "{error}");
        assert!(error.to_string().contains("ulimit -f"), "{error}");
    }
    let has_all = |client: &mut KvsClient| {
        let mut all = 0..300;
        all.all(|n| client.get(n.to_string()).unwrap().as_ref() == Some(&value))
    };
    assert!(has_all(&mut client));
    limited.signal(Signal::SIGTERM);
    assert_eq!(limited.wait().code(), Some(0));
    let server = ServerProcess::start(dir.path(), &[]);
    assert!(has_all(&mut KvsClient::connect(server.addr).unwrap()));
}

#[test]
fn a_server_waits_for_the_port_and_the_directory_of_one_that_is_just_being_killed() {
    for engine in ["kvs", "sled", "tokio-fs"] {
        let dir = tempfile::tempdir().unwrap();
        let port = TcpListener::bind(ANY_PORT).unwrap();
        let addr = port.local_addr().unwrap();
        let mut first = ServerProcess::start(dir.path(), &["--engine", engine]);
        let mut command = Command::new(cargo_bin!("kvs-server"));
        command.args(["--addr", &addr.to_string(), "--data-dir"]);
        command.arg(dir.path()).env("RUST_LOG", "kvs_server=debug");
        let mut second = Program::spawn(&mut command);
        let line = second.logs("trying again");
        assert!(line.contains("listen on"), "{line}");
        drop(port);
        second.logs("waited");
        second.logs("trying again");
        first.kill();
        let line = second.logs("waited");
        assert!(line.contains("in use"), "{line}");
        assert_eq!(second.addr(), addr);
        second.signal(Signal::SIGTERM);
        assert_eq!(second.wait().code(), Some(0));
    }
}

/// The system releases the locks of a process one after the other.
#[test]
fn a_server_waits_for_the_lock_that_sled_has_of_its_own() {
    let dir = tempfile::tempdir().unwrap();
    let db = sled::open(dir.path()).unwrap();
    let mut command = server(dir.path());
    command.args(["--engine", "sled"]);
    let mut server = Program::spawn(command.env("RUST_LOG", "kvs_server=debug"));
    server.logs("trying again");
    drop(db);
    server.logs("waited");
    KvsClient::connect(server.addr()).unwrap().stats().unwrap();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_repair_waits_for_the_directory_of_a_server_that_is_just_being_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut first = ServerProcess::start(dir.path(), &[]);
    let mut command = Command::new(cargo_bin!("kvs-server"));
    command.args(["--repair", "--data-dir"]).arg(dir.path());
    let mut repair = Program::spawn(command.env("RUST_LOG", "kvs_server=debug"));
    repair.logs("trying again");
    first.kill();
    assert_eq!(repair.wait().code(), Some(0));
}
