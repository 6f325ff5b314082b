//! The two programs as processes: signals, limits, and streams that are full, closed or unread.

#[path = "../common/mod.rs"]
mod common;
mod resources;
mod signals;
mod start;
mod streams;
mod systemd;

use std::env;
use std::fs::OpenOptions;
use std::io::{self, BufRead, BufReader, ErrorKind, PipeReader, PipeWriter, Write};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use assert_cmd::cargo::cargo_bin;
use common::wait;
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
        // The command holds the writing ends. With them open, the pipes would never reach their
        // end.
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

fn server(dir: &Path) -> Command {
    let mut command = Command::new(cargo_bin!("kvs-server"));
    command
        .args(["--addr", "127.0.0.1:0", "--data-dir"])
        .arg(dir)
        .env_remove("RUST_LOG");
    command
}

const STOP: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGXCPU,
];

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
