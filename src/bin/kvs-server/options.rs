//! The arguments of the server.

use std::net::SocketAddr;
use std::num::{NonZero, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use kvs::engine::{EngineKind, SyncLevel};
use kvs::server::Limits;
use structopt::StructOpt;

use crate::check::Print;

/// The arguments that do not go together with --verify or --repair.
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
/// Prints the address that it listens on, and serves until it is stopped. Log lines go to stderr. The
/// environment variable `RUST_LOG` chooses them.
#[derive(Debug, StructOpt)]
#[structopt(name = "kvs-server")]
pub(crate) struct Opt {
    /// The address to listen on; port 0 means any free port [default: 127.0.0.1:4000]
    #[structopt(long, value_name = "IP:PORT")]
    pub(crate) addr: Option<SocketAddr>,

    /// The engine that keeps the data; kvs and tokio-fs open each other's directories [default: sled
    /// for a directory of sled, kvs for any other]
    #[structopt(long, value_name = "ENGINE", possible_values = &EngineKind::ALL.map(EngineKind::as_str))]
    pub(crate) engine: Option<EngineKind>,

    /// The directory of the data [default: the current directory]
    #[structopt(long, value_name = "DIR", parse(from_os_str))]
    pub(crate) data_dir: Option<PathBuf>,

    /// The moment at which a write is on the disk: before it is acknowledged (always), about a second
    /// later (everysec), or when the system decides (never). A kill of the server loses no
    /// acknowledged write [default: everysec]
    #[structopt(long, value_name = "LEVEL", possible_values = &SyncLevel::ALL.map(SyncLevel::as_str))]
    pub(crate) sync: Option<SyncLevel>,

    /// The number of dead bytes (older values and removed keys) from which the engines kvs and
    /// tokio-fs compact, if no more bytes are live [default: 8 times the live bytes, but at least
    /// 8388608 and at most 67108864]
    #[structopt(long, value_name = "BYTES")]
    pub(crate) dead_bytes: Option<NonZeroU64>,

    /// A file with the token that every client has to show. Without a token, only this machine can
    /// connect. Only the owner may read the file (mode 0600 or 0400). If root owns it and the server
    /// does not run as root, a group may read it too
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    pub(crate) auth_token_file: Option<PathBuf>,

    #[structopt(flatten)]
    pub(crate) limits: LimitOpts,

    /// Reads all the data and reports damage, instead of serving. Changes nothing, and needs only
    /// the permission to read
    #[structopt(long, conflicts_with = "repair", conflicts_with_all = SERVING)]
    pub(crate) verify: bool,

    /// Saves the sound records of damaged data and reports the losses, instead of serving. Keeps the
    /// damaged files under other names
    #[structopt(long, conflicts_with_all = SERVING)]
    pub(crate) repair: bool,

    /// Shows every damaged place and every loss, not only the first ten of each
    #[structopt(long)]
    pub(crate) all: bool,

    /// Prints the report of --verify or --repair as one JSON object
    #[structopt(long, conflicts_with = "all")]
    pub(crate) json: bool,
}

impl Opt {
    pub(crate) fn print(&self) -> Print {
        match (self.json, self.all) {
            (true, _) => Print::Json,
            (false, true) => Print::Lines(usize::MAX),
            (false, false) => Print::Lines(10),
        }
    }
}

/// The limits for peers.
#[derive(Debug, StructOpt)]
pub(crate) struct LimitOpts {
    /// The longest frame, in bytes [default: 16777216]
    #[structopt(long, value_name = "BYTES")]
    max_frame: Option<NonZeroUsize>,

    /// The most requests of one connection in flight [default: 256]
    #[structopt(long, value_name = "N")]
    max_in_flight: Option<NonZeroUsize>,

    /// The most connections at a time [default: 10000]
    #[structopt(long, value_name = "N")]
    max_connections: Option<NonZeroUsize>,

    /// The memory of all connections together, in bytes, not counting 32 KiB for each [default:
    /// 536870912]
    #[structopt(long, value_name = "BYTES")]
    max_memory: Option<NonZeroUsize>,

    /// The number of network threads, and so of cores that connections may keep busy [default: half
    /// of the cores]
    #[structopt(long, value_name = "N")]
    network_threads: Option<NonZeroUsize>,

    /// The seconds in which a frame has to arrive [default: 30]
    #[structopt(long, value_name = "SECONDS")]
    frame_time: Option<NonZeroU64>,

    /// The seconds in which a peer has to receive the replies that wait for it [default: 30]
    #[structopt(long, value_name = "SECONDS")]
    reply_time: Option<NonZeroU64>,

    /// The seconds that a shutdown leaves for the requests in flight [default: 10]
    #[structopt(long, value_name = "SECONDS")]
    shutdown_time: Option<NonZeroU64>,
}

impl LimitOpts {
    pub(crate) fn limits(&self) -> Limits {
        let mut limits = Limits::default();
        let number = |limit: &mut usize, given: Option<NonZeroUsize>| {
            *limit = given.map_or(*limit, NonZero::get);
        };
        let time = |limit: &mut Duration, given: Option<NonZeroU64>| {
            *limit = given.map_or(*limit, |seconds| Duration::from_secs(seconds.get()));
        };
        number(&mut limits.frame_bytes, self.max_frame);
        number(&mut limits.in_flight, self.max_in_flight);
        number(&mut limits.connections, self.max_connections);
        number(&mut limits.memory_bytes, self.max_memory);
        number(&mut limits.threads, self.network_threads);
        time(&mut limits.frame_time, self.frame_time);
        time(&mut limits.reply_time, self.reply_time);
        time(&mut limits.shutdown_time, self.shutdown_time);
        limits
    }
}
