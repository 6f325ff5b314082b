//! Helpers of several test files: servers as processes that report when they are ready, servers and
//! connections in the process of the test, disks and histories.
#![allow(dead_code, reason = "every test file uses a part of this")]

pub mod disk;
pub mod later;
pub mod linear;
mod net;

use std::env;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::iter;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use kvs::Result;
use kvs::client::blocking::KvsClient;
use kvs::protocol::{Page, Scan, Stats};
use walkdir::WalkDir;

pub use self::net::*;

/// Waits until `is_so` accepts the server's statistics, and returns them.
pub fn wait_for_stats(client: &mut KvsClient, is_so: impl Fn(&Stats) -> bool) -> Stats {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let stats = client.stats().unwrap();
        if is_so(&stats) {
            return stats;
        }
        assert!(Instant::now() < deadline, "{stats}");
    }
}

/// Returns the pages of a scan, from that of `scan` to the last one.
pub fn pages(scan: Scan, mut next: impl FnMut(Scan) -> Result<Page>) -> impl Iterator<Item = Page> {
    let mut rest = Some(scan);
    iter::from_fn(move || {
        let mut scan = rest.take()?;
        let page = next(scan.clone()).unwrap();
        scan.cursor.clone_from(&page.cursor);
        rest = page.cursor.is_some().then_some(scan);
        Some(page)
    })
}

/// Returns the number in an environment variable, or `default` if it is not set. It says how much a
/// test does.
pub fn number(variable: &str, default: u64) -> u64 {
    match env::var(variable) {
        Ok(number) => number.parse().unwrap(),
        Err(_) => default,
    }
}

/// Returns the median, or NaN if there are no figures.
pub fn median(figures: impl IntoIterator<Item = f64>) -> f64 {
    let mut figures: Vec<_> = figures.into_iter().collect();
    figures.sort_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied().unwrap_or(f64::NAN)
}

/// Returns the bytes in the line `name` of `/proc/<process>/status` (Linux only).
pub fn memory(process: u32, name: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let digits: String = line.unwrap().chars().filter(char::is_ascii_digit).collect();
    1024 * digits.parse::<u64>().unwrap()
}

/// Returns the bytes in all files below a directory.
pub fn size_of_files(dir: &Path) -> u64 {
    // A store may unlink a file during the walk. Then the file takes no space.
    let entries = WalkDir::new(dir).into_iter();
    let metadata = entries.filter_map(|entry| entry.ok()?.metadata().ok());
    metadata.map(|metadata| metadata.len()).sum()
}

/// Sends a signal to a process, by its name without `SIG`.
pub fn send_signal(process: u32, name: &str) {
    let id = process.to_string();
    let kill = Command::new("kill").args(["-s", name, &id]).status();
    assert!(kill.unwrap().success());
}

/// Creates a token file that only its owner can read.
pub fn token_file(dir: &Path, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join("token");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// The real `kvs-server` as a separate process. Dropping this kills the process.
pub struct ServerProcess {
    pub addr: SocketAddr,
    child: Child,
    /// Reads the log, because a full pipe would stop the server.
    log: Option<JoinHandle<String>>,
}

impl ServerProcess {
    /// Starts the program on a free port, with further arguments, and waits until it listens.
    pub fn start(data_dir: &Path, args: &[&str]) -> ServerProcess {
        ServerProcess::start_as(Command::new(cargo_bin!("kvs-server")), data_dir, args)
    }

    /// Starts the program without a directory.
    pub fn start_without_dir(args: &[&str]) -> ServerProcess {
        ServerProcess::spawn(Command::new(cargo_bin!("kvs-server")), args)
    }

    /// Starts a server with a prepared command, such as one that runs as another user.
    pub fn start_as(mut command: Command, data_dir: &Path, args: &[&str]) -> ServerProcess {
        command.arg("--data-dir").arg(data_dir);
        ServerProcess::spawn(command, args)
    }

    /// Starts the program with no more than `descriptors` open files.
    pub fn start_with_limit(data_dir: &Path, descriptors: u32) -> ServerProcess {
        let mut command = Command::new("sh");
        let script = format!(r#"ulimit -n {descriptors}; exec "$0" "$@""#);
        command.args(["-c", &script]).arg(cargo_bin!("kvs-server"));
        ServerProcess::start_as(command, data_dir, &[])
    }

    /// Starts a prepared command, such as one with another environment.
    pub fn spawn(mut command: Command, args: &[&str]) -> ServerProcess {
        let mut child = command
            .args(["--addr", "127.0.0.1:0"])
            .args(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stderr = child.stderr.take().unwrap();
        let log = thread::spawn(move || {
            let mut log = String::new();
            stderr.read_to_string(&mut log).unwrap();
            log
        });
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        stdout.read_line(&mut line).unwrap();
        let addr = line.trim_end().strip_prefix("listening on ");
        let Some(addr) = addr.map(|addr| addr.parse().unwrap()) else {
            child.kill().unwrap();
            let log = log.join().unwrap();
            panic!("the server did not start: {line:?}, {log}");
        };
        ServerProcess {
            addr,
            child,
            log: Some(log),
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal, by its name without `SIG`.
    pub fn signal(&self, name: &str) {
        send_signal(self.id(), name);
    }

    /// Waits until the process ends by itself, and returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        wait(&mut self.child).code()
    }

    /// Returns the exit code of the process if it has ended.
    pub fn try_wait(&mut self) -> Option<i32> {
        self.child.try_wait().unwrap().and_then(|end| end.code())
    }

    /// Ends the process with a signal that it can catch, and returns its exit code.
    pub fn stop(&mut self, signal: &str) -> Option<i32> {
        self.signal(signal);
        self.wait()
    }

    /// Kills the process as `kill -9` does, and returns its log.
    pub fn kill(&mut self) -> String {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.log.take().unwrap().join().unwrap()
    }
}

/// Waits until a process ends, for a minute at most.
pub fn wait(child: &mut Child) -> ExitStatus {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status;
        }
        if Instant::now() > deadline {
            let _ = child.kill();
            panic!("the program does not end; under nohup, a server ignores SIGHUP");
        }
        thread::sleep(Duration::from_millis(5));
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
