//! The two programs as processes: signals, limits, and streams that are full, closed or unread.

#[path = "../common/mod.rs"]
mod common;

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, BufRead, BufReader, ErrorKind, PipeReader, PipeWriter, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use common::{ANY_PORT, NOBODY, ServerProcess, Wire};
use kvs::KvStore;
use kvs::client::blocking::KvsClient;
use kvs::thread_pool::SharedQueueThreadPool;
use nix::libc::O_NONBLOCK;
use nix::sys::signal::{self, Signal};
use nix::unistd::Pid;

/// The longest time to wait for anything.
const PATIENCE: Duration = Duration::from_secs(60);

/// A program whose stdout and stderr are read line by line. Dropping it kills the program.
struct Program {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Program {
    fn spawn(command: &mut Command) -> Program {
        let (out, stdout) = io::pipe().unwrap();
        let (err, stderr) = io::pipe().unwrap();
        Program::spawn_with(command.stdout(stdout).stderr(stderr), out, err)
    }

    fn spawn_with(command: &mut Command, stdout: PipeReader, stderr: PipeReader) -> Program {
        let child = command.spawn().unwrap();
        // Otherwise the pipes would never reach their end.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        Program {
            child,
            stdout: lines(stdout),
            stderr: lines(stderr),
        }
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.child.id() as i32)
    }

    fn signal(&self, signal: Signal) {
        signal::kill(self.pid(), signal).unwrap();
    }

    /// Returns the address that the server prints on stdout.
    fn addr(&self) -> SocketAddr {
        let line = self.stdout.recv_timeout(PATIENCE).unwrap();
        let addr = line.strip_prefix("listening on ").unwrap();
        addr.parse().unwrap()
    }

    /// Waits for a line on stderr that contains `part`.
    fn logs(&self, part: &str) -> String {
        loop {
            let line = self.stderr.recv_timeout(PATIENCE);
            match line.unwrap_or_else(|_| panic!("no line on stderr has {part:?}")) {
                line if line.contains(part) => return line,
                _ => {}
            }
        }
    }

    /// Waits until the program ends by itself.
    fn wait(&mut self) -> ExitStatus {
        wait(&mut self.child)
    }

    /// Returns the remaining lines of stderr, up to its end.
    fn log(&self) -> Vec<String> {
        self.stderr.iter().collect()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn lines(pipe: PipeReader) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    thread::spawn(move || {
        let lines = BufReader::new(pipe).lines().map_while(Result::ok);
        lines.map_while(|line| sender.send(line).ok()).count()
    });
    lines
}

fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("the program does not end");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

fn server(dir: &Path) -> Command {
    let mut command = Command::new(cargo_bin!("kvs-server"));
    command
        .args(["--addr", "127.0.0.1:0", "--data-dir"])
        .arg(dir)
        .env_remove("RUST_LOG");
    command
}

/// Waits until a process has reached its `main`, which first blocks signals.
fn wait_for_main(pid: Pid) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let mut lines = status.lines();
        let blocked = lines.find_map(|line| line.strip_prefix("SigBlk:"));
        // No shell and no other parent leaves this signal blocked.
        let rare = 1 << (Signal::SIGXFSZ as i32 - 1);
        if u64::from_str_radix(blocked.unwrap().trim(), 16).unwrap() & rare != 0 {
            return;
        }
        assert!(Instant::now() < deadline, "the program does not start");
    }
}

/// Lets this much time pass, to meet a program at any moment of its work.
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

const STOP: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGXCPU,
];

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
fn a_server_whose_peers_do_not_take_their_replies_says_that_it_has_cut_them_off() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Program::spawn(server(dir.path()).args(["--shutdown-time", "1"]));
    let _deaf = deaf_peer(server.addr());
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

/// Connects a peer that takes none of its replies, so that a shutdown waits for it.
fn deaf_peer(addr: SocketAddr) -> Wire {
    let mut deaf = Wire::connect(addr);
    let value = "x".repeat(8 * 1024 * 1024);
    deaf.send(&format!(r#"{{"Set":{{"key":"k","value":"{value}"}}}}"#));
    assert_eq!(deaf.receive(), r#""Set""#);
    deaf.send(r#"{"Get":{"key":"k"}}"#);
    deaf.0.read_exact(&mut [0; 4]).unwrap();
    deaf
}

#[test]
fn signals_within_a_second_are_one_wish() {
    let dir = tempfile::tempdir().unwrap();
    let mut server = Program::spawn(server(dir.path()).args(["--shutdown-time", "1000"]));
    let mut deaf = deaf_peer(server.addr());
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
fn signals_that_have_nothing_to_say_to_a_server_change_nothing() {
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

#[test]
fn a_signal_while_a_server_starts_ends_it_in_order_at_any_moment() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..40 {
        let mut server = Program::spawn(&mut server(dir.path()));
        wait_for_main(server.pid());
        // Any moment from the first instruction to the first request.
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
        // Once the server has a segment open, it reads for a while.
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

/// The exit code 0 means success only.
#[test]
fn a_signal_ends_verify_and_repair_with_the_code_of_a_program_that_it_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    ServerProcess::start(dir.path(), &[]).kill();
    for (how, signal, code) in [
        ("--verify", Signal::SIGTERM, 143),
        ("--repair", Signal::SIGINT, 130),
        ("--repair", Signal::SIGHUP, 129),
    ] {
        // Its report waits in the pipe, which has no reader yet.
        let (_reader, stdout) = full_pipe();
        let mut command = Command::new(cargo_bin!("kvs-server"));
        command.args([how, "--data-dir"]).arg(dir.path());
        let mut child = command.stdout(stdout).spawn().unwrap();
        wait_for_write(child.id());
        signal::kill(Pid::from_raw(child.id() as i32), signal).unwrap();
        assert_eq!(wait(&mut child).code(), Some(code));
    }
}

/// A script would take 0 for sound data.
#[test]
fn an_early_signal_does_not_make_verify_or_repair_exit_with_0() {
    let dir = tempfile::tempdir().unwrap();
    ServerProcess::start(dir.path(), &[]).kill();
    for round in 0..100 {
        // It cannot print its report, so it never completes.
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
    // Together they are longer than a file may be.
    for n in 0..300 {
        client.set(n.to_string(), value.clone()).unwrap();
        // And this one is so alone.
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

/// Returns both ends of a pipe that is full until it is read.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reader, writer) = io::pipe().unwrap();
    // This opens the pipe once more, so that only this end does not block.
    let mut filler = OpenOptions::new()
        .write(true)
        .custom_flags(O_NONBLOCK)
        .open(format!("/proc/self/fd/{}", writer.as_raw_fd()))
        .unwrap();
    let full = loop {
        if let Err(error) = filler.write(b".") {
            break error;
        }
    };
    assert_eq!(full.kind(), ErrorKind::WouldBlock);
    (reader, writer)
}

fn full_disk() -> Stdio {
    File::create("/dev/full").unwrap().into()
}

fn closed_pipe() -> Stdio {
    let (_, writer) = io::pipe().unwrap();
    writer.into()
}

/// Returns the commands of both programs that end by themselves, and whether each prints to stdout.
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
fn exit_codes_are_the_same_where_stderr_takes_nothing() {
    let dir = tempfile::tempdir().unwrap();
    ServerProcess::start(&dir.path().join("data"), &[]).kill();
    let server = ServerProcess::start(&dir.path().join("other"), &[]);
    for (mut command, _) in commands(server.addr, dir.path()) {
        let usual = command.output().unwrap().status.code();
        assert!(usual == Some(0) || usual == Some(1), "{command:?}");
        let (_reader, unread) = full_pipe();
        for stderr in [full_disk(), closed_pipe(), unread.into()] {
            let child = command.stdout(Stdio::null()).stderr(stderr);
            let status = wait(&mut child.spawn().unwrap());
            assert_eq!(status.code(), usual, "{command:?}");
        }
    }
}

#[test]
fn a_full_stdout_is_an_error_and_one_that_nobody_wants_to_read_is_none_to_speak_of() {
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
fn a_server_serves_whatever_becomes_of_its_streams() {
    let (_reader, unread_out) = full_pipe();
    let (_reader, unread_err) = full_pipe();
    for (stdout, stderr) in [
        (full_disk(), full_disk()),
        (closed_pipe(), closed_pipe()),
        (unread_out.into(), unread_err.into()),
    ] {
        let dir = tempfile::tempdir().unwrap();
        // The server cannot print its port. This one is free: the system has just chosen it for us.
        let addr = TcpListener::bind(ANY_PORT).unwrap().local_addr().unwrap();
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
fn a_log_that_nobody_reads_holds_nobody_up_and_what_is_lost_is_counted() {
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
    // Now the test reads, and the lines that have waited come first.
    let log = lines(log);
    let lost = loop {
        let line = log.recv_timeout(PATIENCE).unwrap();
        if let Some((lost, _)) = line.split_once(" log lines were lost") {
            break lost.parse::<u64>().unwrap();
        }
        assert!(line.starts_with('['), "a part of a line: {line:?}");
        if line.ends_with(": connected") && !line.ends_with(&good_line) {
            // No line comes twice or out of order.
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
fn a_server_that_nobody_reads_the_log_of_can_be_stopped_in_both_ways() {
    let dir = tempfile::tempdir().unwrap();
    let (_reader, stderr) = full_pipe();
    let (out, stdout) = io::pipe().unwrap();
    let mut command = server(dir.path());
    command.args(["--shutdown-time", "1000"]);
    let mut child = command.stdout(stdout).stderr(stderr).spawn().unwrap();
    drop(command);
    let line = lines(out).recv_timeout(PATIENCE).unwrap();
    let addr: SocketAddr = line.strip_prefix("listening on ").unwrap().parse().unwrap();
    let _deaf = deaf_peer(addr);
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
