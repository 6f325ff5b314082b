//! Servers on a thread of the test, and raw connections. The exercises use this file, too, so it
//! needs no program of kvs.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kvs::server::{Limits, ShutdownHandle};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine, KvsServer, Result};
use tempfile::TempDir;

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
