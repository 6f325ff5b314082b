//! The servers under load.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::common::{ServerProcess, memory, number, send_signal, size_of_files};
use super::limit::Limit;
use super::load::{self, Load, Protocol, Running, Taken};
use super::redis::{self, Redis};

pub const WARM_UP: Duration = Duration::from_millis(300);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Kvs,
    Redis,
    /// A server that keeps nothing.
    Limit,
}

impl Kind {
    pub fn is_installed(self) -> bool {
        self != Kind::Redis || redis::is_installed()
    }
}

/// A server on a free port and in a new directory. Dropping this kills it.
pub struct Server {
    process: Process,
    dir: TempDir,
    sync: &'static str,
}

enum Process {
    Kvs(ServerProcess),
    Redis(Redis),
    Limit(Limit),
}

impl Server {
    /// Starts a server for a load.
    pub fn start(kind: Kind, sync: &'static str, load: &Load) -> io::Result<Server> {
        let dir = tempfile::tempdir()?;
        let process = match kind {
            Kind::Kvs => Process::Kvs(ServerProcess::start(dir.path(), &["--sync", sync])),
            Kind::Redis => Process::Redis(Redis::start(dir.path(), &["--appendfsync", sync])?),
            Kind::Limit => Process::Limit(Limit::start(load.value_bytes)?),
        };
        Ok(Server { process, dir, sync })
    }

    /// Ends the server with a signal, starts it again, and returns the time until it listens.
    pub fn restart(&mut self, signal: &str) -> io::Result<Duration> {
        let dir = self.dir.path();
        let begin;
        match &mut self.process {
            Process::Kvs(server) => {
                server.stop(signal);
                begin = Instant::now();
                *server = ServerProcess::start(dir, &["--sync", self.sync]);
            }
            Process::Redis(server) => {
                send_signal(server.id(), signal);
                server.child.wait()?;
                begin = Instant::now();
                *server = Redis::start(dir, &["--appendfsync", self.sync])?;
            }
            Process::Limit(_) => unreachable!("it keeps nothing"),
        }
        Ok(begin.elapsed())
    }

    pub fn id(&self) -> u32 {
        match &self.process {
            Process::Kvs(server) => server.id(),
            Process::Redis(server) => server.id(),
            Process::Limit(server) => server.id(),
        }
    }

    /// Returns the bytes of memory that the server takes.
    pub fn memory(&self) -> u64 {
        memory(self.id(), "VmRSS")
    }

    /// Returns the bytes in the files of the server.
    pub fn files(&self) -> u64 {
        size_of_files(self.dir.path())
    }

    pub fn fill(&self, load: &Load) -> io::Result<()> {
        match self.process {
            Process::Limit(_) => Ok(()),
            _ => load::fill(self.protocol(), self.addr(), load),
        }
    }

    /// Puts the server under a load for `KVS_SECONDS` seconds, or else for `seconds`.
    pub fn run(&self, load: &Load, seconds: u64) -> io::Result<Taken> {
        let time = Duration::from_secs(number("KVS_SECONDS", seconds));
        self.connect(load)?.run(self.id(), WARM_UP, time)
    }

    pub fn connect(&self, load: &Load) -> io::Result<Running> {
        Running::connect(self.protocol(), self.addr(), load)
    }

    fn protocol(&self) -> Protocol {
        match self.process {
            Process::Redis(_) => Protocol::Redis,
            Process::Kvs(_) | Process::Limit(_) => Protocol::Kvs,
        }
    }

    fn addr(&self) -> SocketAddr {
        match &self.process {
            Process::Kvs(server) => server.addr,
            Process::Redis(server) => server.addr,
            Process::Limit(server) => server.addr,
        }
    }
}
