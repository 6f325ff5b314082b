//! The unit for systemd, and log lines for journald.

use std::fs::{self, File};
use std::io::{self, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use kvs::server::Limits;
use nix::sys::signal::Signal;

use super::{Program, server};
use crate::common::Wire;

const UNIT: &str = "docs/kvs-server.service";
const PAGE: &str = "docs/running-it.md";
const INSTALLED: &str = "/usr/local/bin/kvs-server";

/// The descriptors that the server keeps for the files of its engine.
const FILES: usize = 512;

/// Returns the value of a setting of the unit.
fn setting(name: &str) -> String {
    let unit = fs::read_to_string(UNIT).unwrap();
    let mut values = unit.lines().filter_map(|line| {
        let (key, value) = line.split_once('=')?;
        (key == name).then_some(value)
    });
    let value = values
        .next()
        .unwrap_or_else(|| panic!("no {name} in {UNIT}"));
    assert_eq!(values.next(), None, "{name} is there twice");
    value.to_owned()
}

/// Returns the parts of a page that are changes to the unit.
fn changes() -> Vec<String> {
    let page = fs::read_to_string(PAGE).unwrap();
    let blocks = page.split("```ini\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap().to_owned())
        .collect()
}

/// Asks systemd about the unit with a change. Returns what it finds, or `None` without systemd.
fn verify(change: &str) -> Option<String> {
    let dir = tempfile::tempdir().unwrap();
    let program = cargo_bin!("kvs-server").to_str().unwrap();
    let write = |path: &Path, text: &str| fs::write(path, text.replace(INSTALLED, program));
    let unit = dir.path().join("kvs-server.service");
    write(&unit, &fs::read_to_string(UNIT).unwrap()).unwrap();
    let changes = dir.path().join("kvs-server.service.d");
    fs::create_dir(&changes).unwrap();
    write(&changes.join("change.conf"), change).unwrap();
    let mut command = Command::new("systemd-analyze");
    let output = match command.args(["verify", "--man=no"]).arg(unit).output() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        output => output.unwrap(),
    };
    let found = String::from_utf8(output.stderr).unwrap();
    // It may find something about the units of this machine, too.
    let ours = found.lines().filter(|line| line.contains("kvs-server"));
    let ours: Vec<_> = ours.collect();
    assert!(output.status.success() || !ours.is_empty(), "{found}");
    Some(ours.join("\n"))
}

#[test]
fn systemd_accepts_the_unit_and_the_changes_in_the_page() {
    let Some(found) = verify("") else {
        println!("not shown: there is no systemd-analyze on this machine");
        return;
    };
    assert_eq!(found, "");
    assert!(!changes().is_empty());
    for change in changes() {
        assert_eq!(verify(&change).unwrap(), "", "{change}");
    }
    for mistake in ["[Service]\nProtectSistem=yes\n", "[Service]\nExecStart=\n"] {
        assert_ne!(verify(mistake).unwrap(), "", "{mistake}");
    }
}

#[test]
fn the_unit_fits_the_limits_of_the_server() {
    let limits = Limits::default();
    let descriptors: usize = setting("LimitNOFILE").parse().unwrap();
    assert_eq!(limits.connections + FILES, descriptors);
    let seconds: u64 = setting("TimeoutStopSec").parse().unwrap();
    assert!(limits.shutdown_time < Duration::from_secs(seconds));
}

#[test]
fn the_server_takes_the_arguments_of_the_unit() {
    let dir = tempfile::tempdir().unwrap();
    let start = setting("ExecStart").replace("${STATE_DIRECTORY}", dir.path().to_str().unwrap());
    let mut words = start.split(' ');
    assert_eq!(words.next(), Some(INSTALLED));
    let mut command = Command::new(cargo_bin!("kvs-server"));
    let mut program = Program::spawn(command.args(words).args(["--addr", "127.0.0.1:0"]));
    program.addr();
    program.signal(setting("KillSignal").parse::<Signal>().unwrap());
    assert_eq!(program.wait().code(), Some(0));
}

/// Starts a server whose stderr is the stream `shift` behind the one that it is told to be that of
/// journald.
fn start(dir: &Path, shift: u64) -> Program {
    let (out, stdout) = io::pipe().unwrap();
    let (err, stderr) = io::pipe().unwrap();
    let stderr = File::from(OwnedFd::from(stderr));
    let stream = stderr.metadata().unwrap();
    let stream = format!("{}:{}", stream.dev(), stream.ino() + shift);
    let mut command = server(dir);
    command
        .env("JOURNAL_STREAM", stream)
        .env("RUST_LOG", "debug");
    Program::spawn_with(command.stdout(stdout).stderr(stderr), out, err)
}

#[test]
fn journald_gets_priorities_and_no_time_stamps() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = start(dir.path(), 0);
    let started = program.logs("data in");
    assert!(
        started.starts_with("<6>[INFO  kvs_server] kvs-server "),
        "{started}"
    );
    let addr = program.addr();
    Wire::connect(addr);
    let connected = program.logs(": connected");
    assert!(connected.starts_with("<7>[DEBUG kvs::"), "{connected}");
    let mut bad = TcpStream::connect(addr).unwrap();
    bad.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let refused = program.logs("WARN");
    assert!(refused.starts_with("<4>[WARN  kvs::"), "{refused}");
    program.signal(Signal::SIGTERM);
    assert_eq!(program.wait().code(), Some(0));
    let rest = program.log();
    assert!(rest.iter().all(|line| line.starts_with('<')), "{rest:?}");
}

#[test]
fn other_streams_than_that_of_journald_get_time_stamps() {
    let dir = tempfile::tempdir().unwrap();
    let program = start(dir.path(), 1);
    let started = program.logs("data in");
    assert!(
        started.starts_with("[20") && started.contains("Z INFO  kvs_server]"),
        "{started}"
    );
}
