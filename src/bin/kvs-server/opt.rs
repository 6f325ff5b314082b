//! The arguments of the server.

use std::num::{NonZero, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use kvs::engine::{EngineKind, SyncLevel};
use kvs::server::Limits;
use structopt::StructOpt;

use crate::cli::{self, Host};

/// The arguments that only a serving server takes.
const SERVING: &[&str] = &[
    "addr",
    "engine",
    "sync",
    "dead-bytes",
    "auth-token-file",
    "max-frame",
    "max-in-flight",
    "max-connections",
    "max-memory",
    "network-threads",
    "frame-time",
    "reply-time",
    "shutdown-time",
];

/// A persistent key/value server.
///
/// Prints the address it listens on, and serves until it is stopped. Log lines go to stderr;
/// `RUST_LOG` chooses which.
#[derive(Debug, StructOpt)]
#[structopt(
    name = "kvs-server",
    version = cli::version(),
    template = concat!(
        "kvs-server ", env!("CARGO_PKG_VERSION"), "\n{about}\n\nEXAMPLES:\n",
        "    kvs-server --data-dir data\n",
        "    kvs-server --data-dir data --sync always --max-memory 2G --frame-time 500ms\n",
        "    kvs-server --data-dir data --addr 0.0.0.0:4000 --auth-token-file token\n",
        "    kvs-server --data-dir data --verify\n",
        "\nUSAGE:\n    {usage}\n\n{all-args}"
    )
)]
pub struct Opt {
    /// Where to listen; port 0 takes any free port [default: 127.0.0.1:4000]
    #[structopt(long, value_name = "HOST:PORT")]
    pub addr: Option<Host>,

    /// Which engine keeps the data; kvs and tokio-fs can open each other's directories [default:
    /// sled for a directory of sled, kvs for any other]
    #[structopt(long, value_name = "ENGINE", possible_values = &EngineKind::ALL.map(EngineKind::as_str))]
    pub engine: Option<EngineKind>,

    /// Where the data is [default: the current directory]
    #[structopt(long, value_name = "DIR", parse(from_os_str))]
    pub data_dir: Option<PathBuf>,

    /// When a write is on the disk: before it is acknowledged, about a second later, or when the
    /// system likes; a kill of the server loses no acknowledged write [default: everysec]
    #[structopt(long, value_name = "LEVEL", possible_values = &SyncLevel::ALL.map(SyncLevel::as_str))]
    pub sync: Option<SyncLevel>,

    /// Dead bytes (of older values and removed keys) at which the engines kvs and tokio-fs begin to
    /// compact, if no fewer than are live [default: 8 times the live bytes, but at least 8MiB and
    /// at most 64MiB]
    #[structopt(long, value_name = "SIZE", parse(try_from_str = parse_size))]
    pub dead_bytes: Option<u64>,

    /// A file with the token that every client has to show; without one, only this machine can
    /// connect. Only its owner may read it (mode 0600 or 0400), or also a group if it is root's and
    /// the server does not run as root
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    pub auth_token_file: Option<PathBuf>,

    #[structopt(flatten)]
    pub limits: LimitOpts,

    /// Instead of serving, read all the data and report damage; changes nothing, and needs only the
    /// right to read
    #[structopt(long, conflicts_with = "repair", conflicts_with_all = SERVING)]
    pub verify: bool,

    /// Instead of serving, save the sound records of damaged data and report the losses; keeps the
    /// damaged files
    #[structopt(long, conflicts_with_all = SERVING)]
    pub repair: bool,

    /// Show every damaged place and every loss, not only the first ten of each
    #[structopt(long)]
    pub all: bool,

    /// Print what --verify or --repair finds as one JSON object
    #[structopt(long, conflicts_with = "all")]
    pub json: bool,
}

impl Opt {
    pub fn print(&self) -> Print {
        match (self.json, self.all) {
            (true, _) => Print::Json,
            (false, true) => Print::Lines(usize::MAX),
            (false, false) => Print::Lines(10),
        }
    }
}

// The limits for peers. No doc comment: structopt would put it over that of the program.
#[derive(Debug, StructOpt)]
pub struct LimitOpts {
    /// The longest frame [default: 16MiB]
    #[structopt(long, value_name = "SIZE", parse(try_from_str = parse_size))]
    max_frame: Option<u64>,

    /// Requests of one connection that are worked on at once [default: 256]
    #[structopt(long, value_name = "N")]
    max_in_flight: Option<NonZeroUsize>,

    /// Connections at a time [default: 10000]
    #[structopt(long, value_name = "N")]
    max_connections: Option<NonZeroUsize>,

    /// Memory of all connections together, not counting 32 KiB for each [default: 512MiB]
    #[structopt(long, value_name = "SIZE", parse(try_from_str = parse_size))]
    max_memory: Option<u64>,

    /// Threads for the network, and so the cores that connections may keep busy
    /// [default: half of the cores]
    #[structopt(long, value_name = "N")]
    network_threads: Option<NonZeroUsize>,

    /// Time in which a frame has to arrive [default: 30s]
    #[structopt(long, value_name = "TIME", parse(try_from_str = cli::parse_time))]
    frame_time: Option<Duration>,

    /// Time in which a peer has to take the replies that wait for it [default: 30s]
    #[structopt(long, value_name = "TIME", parse(try_from_str = cli::parse_time))]
    reply_time: Option<Duration>,

    /// Time that a shutdown leaves for what is in flight [default: 10s]
    #[structopt(long, value_name = "TIME", parse(try_from_str = cli::parse_time))]
    shutdown_time: Option<Duration>,
}

impl LimitOpts {
    pub fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        let number = |limit: &mut usize, given: Option<NonZeroUsize>| {
            *limit = given.map_or(*limit, NonZero::get);
        };
        let size = |limit: &mut usize, given: Option<u64>| {
            *limit = given.map_or(*limit, |size| usize::try_from(size).unwrap_or(usize::MAX));
        };
        let time = |limit: &mut Duration, given: Option<Duration>| {
            *limit = given.unwrap_or(*limit);
        };
        size(&mut limits.frame_bytes, self.max_frame);
        number(&mut limits.in_flight, self.max_in_flight);
        number(&mut limits.connections, self.max_connections);
        size(&mut limits.memory_bytes, self.max_memory);
        number(&mut limits.threads, self.network_threads);
        time(&mut limits.frame_time, self.frame_time);
        time(&mut limits.reply_time, self.reply_time);
        time(&mut limits.shutdown_time, self.shutdown_time);
        limits
    }
}

/// How a report is printed.
#[derive(Clone, Copy)]
pub enum Print {
    /// For people, with at most this many lines of each kind.
    Lines(usize),
    /// For programs, as a single JSON object.
    Json,
}

/// Reads a number of bytes, which is not 0. K, M and G stand for powers of 1024, as in KiB, MiB and
/// GiB.
fn parse_size(text: &str) -> Result<u64, String> {
    let sizes = parse_size::Config::new().with_binary();
    match sizes.parse_size(text) {
        Ok(0) => Err("the size must not be 0".to_owned()),
        Ok(size) => Ok(size),
        Err(error) => Err(format!("{error}; give a size as in 64KiB, 512M or 2G")),
    }
}
