//! Helpers of several test files: servers that report when they are ready, and the protocol's
//! bytes.
#![allow(dead_code, reason = "every test file uses a part of this")]

pub mod disk;
pub mod later;
pub mod linear;

use std::env;
use std::fs;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::iter;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use kvs::client::blocking::KvsClient;
use kvs::protocol::{Page, Scan, Stats};
use kvs::server::{Limits, ShutdownHandle};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine, KvsServer, Result};
use tempfile::TempDir;
use walkdir::WalkDir;

pub type Store = KvStore<SharedQueueThreadPool>;

/// An address to listen on, for which the system picks a free port.
pub const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);

/// An address without a listener. The system never picks this port as a free one, but it could pick
/// any port that a test has just released.
pub const NOBODY: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1);

/// The longest time to wait for something that takes a second at most, because this machine may be
/// busy.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// Waits until `is_so` returns true. Panics with the message `not_so` after [`PATIENCE`].
pub fn wait_until(not_so: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "{not_so}");
        thread::yield_now();
    }
}

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

/// Creates a token file that only its owner can read.
pub fn token_file(dir: &Path, content: impl AsRef<[u8]>) -> PathBuf {
    let path = dir.join("token");
    fs::write(&path, content).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    path
}

/// A server on a thread of this process. It shuts down when it is dropped.
pub struct TestServer {
    pub addr: SocketAddr,
    shutdown: ShutdownHandle,
    thread: Option<JoinHandle<Result<()>>>,
}

impl TestServer {
    pub fn start(engine: impl KvsEngine + Sync) -> TestServer {
        TestServer::start_at(ANY_PORT, engine)
    }

    pub fn start_at(addr: SocketAddr, engine: impl KvsEngine + Sync) -> TestServer {
        // Two threads, even on a machine with one core, so that connections use the engine at once.
        let mut limits = Limits::default();
        limits.threads = 2;
        TestServer::serve_at(addr, KvsServer::new(engine).limits(limits))
    }

    pub fn serve(server: KvsServer<impl KvsEngine + Sync>) -> TestServer {
        TestServer::serve_at(ANY_PORT, server)
    }

    fn serve_at(addr: SocketAddr, server: KvsServer<impl KvsEngine + Sync>) -> TestServer {
        let server = server.bind(addr).unwrap();
        let (addr, shutdown) = (server.local_addr(), server.shutdown_handle());
        TestServer {
            addr,
            shutdown,
            thread: Some(thread::spawn(|| server.run())),
        }
    }

    pub fn shutdown_handle(&self) -> ShutdownHandle {
        self.shutdown.clone()
    }

    /// Shuts the server down, and waits until it has dropped its handle to the engine.
    pub fn stop(&mut self) {
        self.shutdown.shutdown();
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap().unwrap();
        }
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Starts a server with a new store.
pub fn serve() -> (TempDir, TestServer) {
    let dir = tempfile::tempdir().unwrap();
    let server = TestServer::start(Store::open(dir.path(), 2).unwrap());
    (dir, server)
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
        ServerProcess::spawn(Command::new(cargo_bin!("kvs-server")), data_dir, args)
    }

    /// Starts a server with a prepared command, such as one that runs as another user.
    pub fn start_as(command: Command, data_dir: &Path, args: &[&str]) -> ServerProcess {
        ServerProcess::spawn(command, data_dir, args)
    }

    /// Starts the program with no more than `descriptors` open files.
    pub fn start_with_limit(data_dir: &Path, descriptors: u32) -> ServerProcess {
        let mut command = Command::new("sh");
        let script = format!(r#"ulimit -n {descriptors}; exec "$0" "$@""#);
        command.args(["-c", &script]).arg(cargo_bin!("kvs-server"));
        ServerProcess::spawn(command, data_dir, &[])
    }

    fn spawn(mut command: Command, data_dir: &Path, args: &[&str]) -> ServerProcess {
        let mut child = command
            .args(["--addr", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(data_dir)
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
        let id = self.id().to_string();
        let kill = Command::new("kill").args(["-s", name, &id]).status();
        assert!(kill.unwrap().success());
    }

    /// Waits until the process ends by itself, and returns its exit code.
    pub fn wait(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
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

impl Drop for ServerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Returns whether this machine has a connection with keepalive for whose local and remote port
/// `is_it` returns true.
pub fn is_kept_alive(is_it: impl Fn(u16, u16) -> bool) -> bool {
    let sockets = fs::read_to_string("/proc/net/tcp").unwrap();
    sockets.lines().skip(1).any(|line| {
        let fields: Vec<_> = line.split_whitespace().collect();
        let port = |addr: &str| u16::from_str_radix(addr.rsplit(':').next().unwrap(), 16).unwrap();
        // 02 is the keepalive timer. The connection has another one until all data is acknowledged.
        is_it(port(fields[1]), port(fields[2])) && fields[5].starts_with("02:")
    })
}

/// Either end of a connection on which a test sends and receives frames.
pub struct Wire(pub TcpStream);

impl Wire {
    pub fn connect(addr: SocketAddr) -> Wire {
        Wire::new(TcpStream::connect(addr).unwrap(), PATIENCE)
    }

    /// Wraps a connected socket. A read that takes longer than `patience` fails.
    pub fn new(socket: TcpStream, patience: Duration) -> Wire {
        socket.set_nodelay(true).unwrap();
        socket.set_read_timeout(Some(patience)).unwrap();
        Wire(socket)
    }

    /// Connects a peer that does not read its replies, so that a shutdown waits for it.
    pub fn deaf(addr: SocketAddr) -> Wire {
        let mut deaf = Wire::connect(addr);
        let value = "x".repeat(8 * 1024 * 1024);
        deaf.send(&format!(r#"{{"Set":{{"key":"k","value":"{value}"}}}}"#));
        assert_eq!(deaf.receive(), r#""Set""#);
        deaf.send(r#"{"Get":{"key":"k"}}"#);
        deaf.0.read_exact(&mut [0; 4]).unwrap();
        deaf
    }

    pub fn send(&mut self, json: &str) {
        self.0.write_all(&frame(json)).unwrap();
    }

    /// Returns the body of the next frame.
    pub fn receive(&mut self) -> String {
        self.try_receive().unwrap()
    }

    /// Returns the body of the next frame, or an error if the connection ends first.
    pub fn try_receive(&mut self) -> io::Result<String> {
        let mut prefix = [0; 4];
        self.0.read_exact(&mut prefix)?;
        let mut body = vec![0; u32::from_be_bytes(prefix) as usize];
        self.0.read_exact(&mut body)?;
        Ok(String::from_utf8(body).unwrap())
    }

    /// Sends the bytes of a request, and compares those of its reply.
    pub fn exchange(&mut self, request: &[u8], reply: &[u8]) {
        self.0.write_all(request).unwrap();
        let mut got = vec![0; reply.len()];
        self.0.read_exact(&mut got).unwrap();
        assert_eq!(String::from_utf8(got), String::from_utf8(reply.to_vec()));
    }

    /// Checks that the next frame is an error with this code.
    pub fn expect_error(&mut self, code: &str) {
        let reply = self.receive();
        let expected = format!(r#"{{"Err":{{"code":"{code}","message":""#);
        assert!(reply.starts_with(&expected), "{reply}");
    }

    /// Checks that the peer closes the connection without sending more.
    pub fn expect_end(&mut self) {
        let mut rest = Vec::new();
        self.0.read_to_end(&mut rest).unwrap();
        assert_eq!(rest, b"");
    }
}

/// Returns a frame with this body: its length in four bytes, big-endian, and the body.
pub fn frame(body: impl AsRef<[u8]>) -> Vec<u8> {
    let body = body.as_ref();
    let mut frame = (body.len() as u32).to_be_bytes().to_vec();
    frame.extend(body);
    frame
}
