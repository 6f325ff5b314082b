//! Signals to a running server.

use std::io::Read;
use std::process::Command;

use kvs::client::blocking::KvsClient;
use nix::sys::signal::Signal;

use super::{Program, STOP, server};
use crate::common::Wire;

#[test]
fn a_stopped_server_says_so_in_its_last_line() {
    let dir = tempfile::tempdir().unwrap();
    for signal in STOP {
        let mut server = Program::spawn(&mut server(dir.path()));
        let mut client = KvsClient::connect(server.addr()).unwrap();
        client.set("key".to_owned(), "value".to_owned()).unwrap();
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0), "{signal}");
        let log = server.log();
        let says_why = |line: &String| line.contains(signal.as_str());
        assert!(log.iter().any(says_why), "{log:?}");
        let last = log.last().unwrap();
        assert!(last.contains("stopped: all requests"), "{log:?}");
    }
}

#[test]
fn a_server_logs_that_it_has_disconnected_peers_that_do_not_read_their_replies() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Program::spawn(server(dir.path()).args(["--shutdown-time", "1"]));
    let _deaf = Wire::deaf(server.addr());
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    let log = server.log();
    assert!(
        log.last()
            .unwrap()
            .contains("stopped: 1 connections were cut off"),
        "{log:?}"
    );
}

#[test]
fn signals_within_a_second_count_as_one() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Program::spawn(server(dir.path()).args(["--shutdown-time", "1000"]));
    let mut deaf = Wire::deaf(server.addr());
    for signal in [Signal::SIGTERM, Signal::SIGHUP, Signal::SIGINT] {
        server.signal(signal);
    }
    server.logs("stopping because of");
    deaf.0.read_to_end(&mut Vec::new()).unwrap();
    assert_eq!(server.wait().code(), Some(0));
    assert!(
        server
            .log()
            .last()
            .unwrap()
            .contains("stopped: all requests")
    );
}

#[test]
fn signals_without_a_meaning_for_a_server_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Program::spawn(&mut server(dir.path()));
    let mut client = KvsClient::connect(server.addr()).unwrap();
    for signal in [
        Signal::SIGXFSZ,
        Signal::SIGPIPE,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
        Signal::SIGALRM,
        Signal::SIGVTALRM,
        Signal::SIGPROF,
        Signal::SIGIO,
        Signal::SIGTTOU,
    ] {
        server.signal(signal);
        client.set("key".to_owned(), signal.to_string()).unwrap();
        let got = client.get("key".to_owned()).unwrap();
        assert_eq!(got, Some(signal.to_string()));
    }
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn under_nohup_a_terminal_that_goes_away_changes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut command = Command::new("nohup");
    let server = server(dir.path());
    let mut server = Program::spawn(command.arg(server.get_program()).args(server.get_args()));
    let mut client = KvsClient::connect(server.addr()).unwrap();
    server.signal(Signal::SIGHUP);
    client.set("key".to_owned(), "value".to_owned()).unwrap();
    server.signal(Signal::SIGTERM);
    assert_eq!(server.wait().code(), Some(0));
    let log = server.log().join("\n");
    assert!(log.contains("SIGTERM") && !log.contains("SIGHUP"), "{log}");
}
