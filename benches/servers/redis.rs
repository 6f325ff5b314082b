//! redis-server as a separate process.

use std::io::{self, BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::common;

/// The message of a benchmark without a redis-server.
pub const NOT_INSTALLED: &str =
    "Measuring kvs alone, because there is no redis-server (Debian package: redis-server).";

/// Returns whether this machine has a redis-server.
pub fn is_installed() -> bool {
    let version = Command::new("redis-server")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    version.is_ok_and(|status| status.success())
}

/// A redis-server on a free port. Dropping this kills it.
pub struct Redis {
    pub addr: SocketAddr,
    pub child: Child,
}

impl Redis {
    /// Starts redis-server with its append-only file and without snapshots.
    pub fn start(dir: &Path, args: &[&str]) -> io::Result<Redis> {
        // redis-server cannot pick a free port itself. Another program may take the one that was
        // free here, so try again.
        loop {
            let addr = TcpListener::bind(common::ANY_PORT)?.local_addr()?;
            let mut child = Command::new("redis-server")
                .args(["--bind", "127.0.0.1", "--save", "", "--appendonly", "yes"])
                .args(["--port", &addr.port().to_string()])
                .args(args)
                .arg("--dir")
                .arg(dir)
                .stdout(Stdio::piped())
                .spawn()?;
            let log = child.stdout.take().map(BufReader::new);
            let mut lines = log.into_iter().flat_map(BufRead::lines);
            if lines.any(|line| line.is_ok_and(|line| line.contains("Ready to accept connections")))
            {
                return Ok(Redis { addr, child });
            }
            child.wait()?;
        }
    }

    pub fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
