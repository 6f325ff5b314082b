//! Signals to a server that is starting, and to `--verify` and `--repair`.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use kvs::KvStore;
use kvs::client::blocking::KvsClient;
use kvs::thread_pool::SharedQueueThreadPool;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

use super::{PATIENCE, Program, STOP, full_pipe, server, wait};
use crate::common::ServerProcess;

/// Waits until a process has reached its `main`, which blocks signals first.
fn wait_for_main(pid: Pid) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let mut lines = status.lines();
        let blocked = lines.find_map(|line| line.strip_prefix("SigBlk:"));
        // No parent process leaves this signal blocked.
        let rare = 1 << (Signal::SIGXFSZ as i32 - 1);
        if u64::from_str_radix(blocked.unwrap().trim(), 16).unwrap() & rare != 0 {
            return;
        }
        assert!(Instant::now() < deadline, "the program does not start");
    }
}

/// Waits for `time` without sleeping, so that the signal can arrive at any moment.
fn pass(time: Duration) {
    let end = Instant::now() + time;
    while Instant::now() < end {
        thread::yield_now();
    }
}

/// Returns a file with a token that is a pipe without data. A server that reads it does not finish
/// its start.
fn endless_token(dir: &Path) -> std::path::PathBuf {
    let token = dir.join("token");
    let made = Command::new("mkfifo").arg(&token).status().unwrap();
    assert!(made.success());
    fs::set_permissions(&token, Permissions::from_mode(0o600)).unwrap();
    token
}

#[test]
fn a_signal_while_a_server_starts_ends_it_in_order_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..40 {
        let mut server = Program::spawn(&mut server(dir.path()));
        wait_for_main(server.pid());
        // The signal arrives at any moment between the first instruction and the first request.
        pass(Duration::from_micros(250 * round));
        server.signal(STOP[round as usize % STOP.len()]);
        assert_eq!(server.wait().code(), Some(0), "round {round}");
        let log = server.log();
        assert!(log.last().unwrap().contains("stopped"), "{log:?}");
    }
}

#[test]
fn a_signal_does_not_wait_for_a_long_start() {
    let dir = tempfile::tempdir().unwrap();
    let token = endless_token(dir.path());
    for signal in STOP {
        let mut command = server(&dir.path().join("data"));
        let mut server = Program::spawn(command.arg("--auth-token-file").arg(&token));
        wait_for_main(server.pid());
        server.signal(signal);
        assert_eq!(server.wait().code(), Some(0));
        let log = server.log();
        assert_eq!(log.len(), 1, "{log:?}");
        assert!(log[0].contains("before the server had started"), "{log:?}");
    }
}

#[test]
fn a_signal_while_a_store_is_opened_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut keys = Vec::new();
    {
        let store = KvStore::<SharedQueueThreadPool>::open(dir.path(), 2).unwrap();
        use futures::Future;
        use kvs::KvsEngine;
        for n in 0..20_000 {
            let key = format!("key {n}");
            keys.push(store.set(key, "x".repeat(1000)));
        }
        futures::future::join_all(keys).wait().unwrap();
    }
    for round in 0..3 {
        for entry in fs::read_dir(dir.path()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().and_then(OsStr::to_str).unwrap();
            if name.ends_with(".hints") || name == "kvs-checkpoint" {
                fs::remove_file(path).unwrap();
            }
        }
        let mut server = Program::spawn(&mut server(dir.path()));
        // A server that has opened a segment reads for a while.
        let fds = format!("/proc/{}/fd", server.pid());
        let deadline = Instant::now() + PATIENCE;
        let is_reading = || {
            let mut fds = fs::read_dir(&fds).into_iter().flatten().flatten();
            fds.any(|fd| {
                let file = fs::read_link(fd.path()).unwrap_or_default();
                file.extension() == Some(OsStr::new("segment"))
            })
        };
        while !is_reading() {
            assert!(Instant::now() < deadline, "no segment is opened");
        }
        server.signal(Signal::SIGTERM);
        assert_eq!(server.wait().code(), Some(0), "round {round}");
        assert!(server.log().last().unwrap().contains("stopped"));
    }
    let server = ServerProcess::start(dir.path(), &[]);
    let stats = KvsClient::connect(server.addr).unwrap().stats().unwrap();
    assert_eq!(stats.engine.keys, Some(20_000));
}

/// The exit code 0 means success and nothing else.
#[test]
fn a_signal_ends_verify_and_repair_with_the_code_of_a_program_that_it_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    ServerProcess::start(dir.path(), &[]).kill();
    for (how, signal, code) in [
        ("--verify", Signal::SIGTERM, 143),
        ("--repair", Signal::SIGINT, 130),
        ("--repair", Signal::SIGHUP, 129),
    ] {
        // The program waits for the pipe, which has no reader yet.
        let (_reader, stdout) = full_pipe();
        let mut command = Command::new(cargo_bin!("kvs-server"));
        command.args([how, "--data-dir"]).arg(dir.path());
        let mut child = command.stdout(stdout).spawn().unwrap();
        wait_for_write(child.id());
        signal::kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        assert_eq!(wait(&mut child).code(), Some(code));
    }
}

/// A script would read 0 as sound data.
#[test]
fn an_early_signal_does_not_make_verify_or_repair_exit_with_0() {
    let dir = tempfile::tempdir().unwrap();
    ServerProcess::start(dir.path(), &[]).kill();
    for round in 0..100 {
        // The program cannot print its report, so it never completes.
        let (_reader, stdout) = full_pipe();
        let mut command = Command::new(cargo_bin!("kvs-server"));
        command.args([["--verify", "--repair"][round % 2], "--data-dir"]);
        let child = command.arg(dir.path()).stdout(stdout);
        let mut child = child.env_remove("RUST_LOG").spawn().unwrap();
        let pid = Pid::from_raw(child.id() as i32);
        wait_for_main(pid);
        pass(Duration::from_micros(5 * round as u64));
        signal::kill(pid, Signal::SIGTERM).unwrap();
        assert_eq!(wait(&mut child).code(), Some(143), "round {round}");
    }
}

/// Waits until the main thread of a process is blocked in a write to a full pipe.
fn wait_for_write(pid: u32) {
    let deadline = Instant::now() + PATIENCE;
    let call = format!("/proc/{pid}/syscall");
    let is_write = |call: String| call.starts_with("1 0x1 ") || call.starts_with("64 0x1 ");
    while !fs::read_to_string(&call).is_ok_and(is_write) {
        assert!(Instant::now() < deadline, "nothing is written");
    }
}

#[test]
fn process_1_of_a_container_stops_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let token = endless_token(dir.path());
    let in_container = |server: Command| {
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child", "--mount-proc"]);
        command.arg(server.get_program()).args(server.get_args());
        command
    };
    let mut nothing = in_container(Command::new("true"));
    if !nothing.output().is_ok_and(|output| output.status.success()) {
        println!("skipped: no right to make a namespace for processes");
        return;
    }
    let child_of = |unshare: &Program| {
        let children = format!("/proc/{0}/task/{0}/children", unshare.pid());
        let deadline = Instant::now() + PATIENCE;
        loop {
            let children = fs::read_to_string(&children).unwrap();
            if let Some(child) = children.split_whitespace().next() {
                return Pid::from_raw(child.parse().unwrap());
            }
            assert!(Instant::now() < deadline, "unshare starts nothing");
        }
    };
    for signal in STOP {
        let mut serving = Program::spawn(&mut in_container(server(&data)));
        let mut client = KvsClient::connect(serving.addr()).unwrap();
        client.set("key".to_owned(), "value".to_owned()).unwrap();
        signal::kill(child_of(&serving), signal).unwrap();
        assert_eq!(serving.wait().code(), Some(0), "{signal}");

        let mut command = server(&data);
        command.arg("--auth-token-file").arg(&token);
        let mut starting = Program::spawn(&mut in_container(command));
        let child = child_of(&starting);
        wait_for_main(child);
        signal::kill(child, signal).unwrap();
        assert_eq!(starting.wait().code(), Some(0), "{signal}");
    }
}
