//! Standard streams that are full, closed or unread.

use std::env;
use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{self, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use kvs::client::blocking::KvsClient;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use super::{PATIENCE, full_pipe, lines, server, wait};
use crate::common::{NOBODY, ServerProcess, Wire};

fn full_disk() -> Stdio {
    File::create("/dev/full").unwrap().into()
}

fn closed_pipe() -> Stdio {
    let (_, writer) = io::pipe().unwrap();
    writer.into()
}

/// Returns commands of both programs that end by themselves, and whether each one prints to stdout.
fn commands(server: SocketAddr, dir: &Path) -> Vec<(Command, bool)> {
    let (addr, nobody) = (server.to_string(), NOBODY.to_string());
    let data = dir.join("data");
    let nothing = dir.join("nothing");
    let (data, nothing) = (data.to_str().unwrap(), nothing.to_str().unwrap());
    let client: &[(&[&str], bool)] = &[
        (&["--help"], true),
        (&["-V"], true),
        (&["bogus"], false),
        (&["get"], false),
        (&["get", "key", "--addr", &nobody], false),
        (&["set", "key", "value", "--addr", &addr], false),
        (&["get", "key", "--addr", &addr], true),
        (&["rm", "missing", "--addr", &addr], false),
        (&["stats", "--addr", &addr], true),
        (&["stats", "--json", "--addr", &addr], true),
    ];
    let server: &[(&[&str], bool)] = &[
        (&["--help"], true),
        (&["-V"], true),
        (&["--bogus"], false),
        (&["--verify", "--data-dir", data], true),
        (&["--repair", "--data-dir", data], true),
        (&["--verify", "--data-dir", nothing], false),
        (&["--addr", "0.0.0.0:0", "--data-dir", nothing], false),
    ];
    let command = |program, (args, prints): &(&[&str], bool)| {
        let mut command = Command::new(program);
        command.args(*args).env("RUST_LOG", "bogus=bogus=bogus");
        (command, *prints)
    };
    let client = client.iter().map(|c| command(cargo_bin!("kvs-client"), c));
    let server = server.iter().map(|c| command(cargo_bin!("kvs-server"), c));
    client.chain(server).collect()
}

#[test]
fn exit_codes_are_the_same_if_stderr_accepts_nothing() {
    let dir = tempfile::tempdir().unwrap();
    ServerProcess::start(&dir.path().join("data"), &[]).kill();
    let server = ServerProcess::start(&dir.path().join("other"), &[]);
    for (mut command, _) in commands(server.addr, dir.path()) {
        let usual = command.output().unwrap().status.code();
        assert!(matches!(usual, Some(0..=2)), "{command:?}");
        let (_reader, unread) = full_pipe();
        for stderr in [full_disk(), closed_pipe(), unread.into()] {
            let child = command.stdout(Stdio::null()).stderr(stderr);
            let status = wait(&mut child.spawn().unwrap());
            assert_eq!(status.code(), usual, "{command:?}");
        }
    }
}

#[test]
fn a_full_stdout_is_an_error_and_a_closed_one_ends_the_program_quietly() {
    let dir = tempfile::tempdir().unwrap();
    ServerProcess::start(&dir.path().join("data"), &[]).kill();
    let server = ServerProcess::start(&dir.path().join("other"), &[]);
    for (mut command, prints) in commands(server.addr, dir.path()) {
        command.env_remove("RUST_LOG");
        if !prints {
            continue;
        }
        let output = command.stdout(full_disk()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(stderr.lines().count(), 1, "{command:?}: {stderr}");
        assert!(stderr.contains("No space left"), "{command:?}: {stderr}");

        let output = command.stdout(closed_pipe()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{command:?}");
        assert_eq!(output.stderr, b"", "{command:?}");
    }
}

#[test]
fn a_server_serves_even_if_its_streams_are_full_closed_or_unread() {
    let (_reader, unread_out) = full_pipe();
    let (_reader, unread_err) = full_pipe();
    for (stdout, stderr) in [
        (full_disk(), full_disk()),
        (closed_pipe(), closed_pipe()),
        (unread_out.into(), unread_err.into()),
    ] {
        let dir = tempfile::tempdir().unwrap();
        // The server cannot print its port. This one stays free, because no other process listens
        // on this address of the loopback network.
        let [_, a, b, c] = process::id().to_be_bytes();
        let host = Ipv4Addr::new(127, 128 | a, b, c);
        let addr = TcpListener::bind((host, 0)).unwrap().local_addr().unwrap();
        let mut command = Command::new(cargo_bin!("kvs-server"));
        command.args(["--addr", &addr.to_string(), "--data-dir"]);
        command.arg(dir.path()).env("RUST_LOG", "trace");
        let mut child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
        let deadline = Instant::now() + PATIENCE;
        let mut client = loop {
            match KvsClient::connect(addr) {
                Ok(client) => break client,
                Err(error) => assert!(Instant::now() < deadline, "{error}"),
            }
        };
        client.set("key".to_owned(), "value".to_owned()).unwrap();
        let mut bad = TcpStream::connect(addr).unwrap();
        bad.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        bad.read_to_end(&mut Vec::new()).unwrap();
        client.get("key".to_owned()).unwrap();
        signal::kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
        assert_eq!(wait(&mut child).code(), Some(0));
    }
}

#[test]
fn an_unread_log_delays_no_request_and_lost_lines_are_counted() {
    let dir = tempfile::tempdir().unwrap();
    let (out, stdout) = io::pipe().unwrap();
    let (log, stderr) = io::pipe().unwrap();
    let mut command = server(dir.path());
    command
        .env("RUST_LOG", "trace")
        .stdout(stdout)
        .stderr(stderr);
    let mut child = command.spawn().unwrap();
    drop(command);
    let line = lines(out).recv_timeout(PATIENCE).unwrap();
    let addr: SocketAddr = line.strip_prefix("listening on ").unwrap().parse().unwrap();
    let connected = |peer: &Wire| format!("{}: connected", peer.0.local_addr().unwrap());
    let mut good = Wire::connect(addr);
    let good_line = connected(&good);
    let mut good_is_served = || {
        good.send(r#"{"Get":{"key":"k"}}"#);
        assert_eq!(good.receive(), r#"{"Get":null}"#);
    };
    good_is_served();
    let mut peers = Vec::new();
    for n in 0..3000 {
        let mut peer = Wire::connect(addr);
        peers.push(connected(&peer));
        peer.0.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
        assert!(peer.receive().contains("frame_too_long"));
        if n % 100 == 0 {
            good_is_served();
        }
    }
    // The test now reads the log. It begins with the lines that fit into the pipe.
    let log = lines(log);
    let lost = loop {
        let line = log.recv_timeout(PATIENCE).unwrap();
        if let Some((lost, _)) = line.split_once(" log lines were lost") {
            break lost.parse::<u64>().unwrap();
        }
        assert!(line.starts_with('['), "a part of a line: {line:?}");
        if line.ends_with(": connected") && !line.ends_with(&good_line) {
            // No line is repeated or out of order.
            let n = peers.iter().position(|peer| line.ends_with(peer)).unwrap();
            peers.drain(..=n);
        }
    };
    assert!(lost > 0);
    good_is_served();
    signal::kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
    assert_eq!(wait(&mut child).code(), Some(0));
    let last = log.iter().last().unwrap();
    assert!(last.contains("stopped: all requests"), "{last}");
}

#[test]
fn a_server_with_an_unread_log_can_be_stopped_in_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let (_reader, stderr) = full_pipe();
    let (out, stdout) = io::pipe().unwrap();
    let mut command = server(dir.path());
    command.args(["--shutdown-time", "1000"]);
    let mut child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
    drop(command);
    let line = lines(out).recv_timeout(PATIENCE).unwrap();
    let addr: SocketAddr = line.strip_prefix("listening on ").unwrap().parse().unwrap();
    let _deaf = Wire::deaf(addr);
    let deadline = Instant::now() + PATIENCE;
    let code = loop {
        signal::kill(Pid::from_raw(child.id() as i32), Signal::SIGTERM).unwrap();
        if let Some(status) = child.try_wait().unwrap() {
            break status.code();
        }
        assert!(Instant::now() < deadline, "no signal stops it");
        thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(code, Some(130));
}
