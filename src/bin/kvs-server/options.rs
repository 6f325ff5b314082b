//! The arguments of the server.

use std::num::{NonZero, NonZeroUsize};
use std::path::PathBuf;
use std::time::Duration;

use kvs::engine::{EngineKind, SyncLevel};
use kvs::server::Limits;
use structopt::StructOpt;

use crate::check::Print;
use crate::cli::{self, Host};

/// The arguments that do not go together with --verify or --repair.
const SERVING: &[&str] = &[
    "addr",
    "engine",
    "sync",
    "dead-bytes",
    "cache",
    "cluster",
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
/// Prints the address that it listens on, and serves until it is stopped. Log lines go to stderr.
/// The environment variable `RUST_LOG` chooses them.
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
pub(crate) struct Opt {
    /// The address to listen on; port 0 means any free port [default: 127.0.0.1:4000]
    #[structopt(long, value_name = "HOST:PORT")]
    pub(crate) addr: Option<Host>,

    /// The engine that keeps the data; kvs and tokio-fs open each other's directories [default:
    /// sled for a directory of sled, kvs for any other]
    #[structopt(long, value_name = "ENGINE", possible_values = &EngineKind::ALL.map(EngineKind::as_str))]
    pub(crate) engine: Option<EngineKind>,

    /// The directory of the data [default: the current directory]
    #[structopt(long, value_name = "DIR", parse(from_os_str))]
    pub(crate) data_dir: Option<PathBuf>,

    /// The moment at which a write is on the disk: before it is acknowledged (always), about a
    /// second later (everysec), or when the system decides (never). A kill of the server loses no
    /// acknowledged write [default: everysec]
    #[structopt(long, value_name = "LEVEL", possible_values = &SyncLevel::ALL.map(SyncLevel::as_str))]
    pub(crate) sync: Option<SyncLevel>,

    /// The number of dead bytes (older values and removed keys) from which the engines kvs and
    /// tokio-fs compact, if no more than twice as many are live [default: 8 times the live bytes,
    /// but at least 8MiB and at most 64MiB]
    #[structopt(long, value_name = "SIZE", parse(try_from_str = parse_size))]
    pub(crate) dead_bytes: Option<u64>,

    /// The memory of the engines kvs and tokio-fs for values that were used lately, of up to 16 KiB
    /// each [default: a quarter of the memory of the machine or the container]
    #[structopt(long, value_name = "SIZE", parse(try_from_str = parse_size))]
    pub(crate) cache: Option<u64>,

    #[structopt(flatten)]
    pub(crate) cluster: ClusterOpts,

    /// A file with the token that every client has to show. Without a token, only this machine can
    /// connect. Only the owner may read the file (mode 0600 or 0400). If root owns it and the
    /// server does not run as root, a group may read it too
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    pub(crate) auth_token_file: Option<PathBuf>,

    #[structopt(flatten)]
    pub(crate) limits: LimitOpts,

    /// Reads all the data and reports damage, instead of serving. Changes nothing, and needs only
    /// the permission to read
    #[structopt(long, conflicts_with = "repair", conflicts_with_all = SERVING)]
    pub(crate) verify: bool,

    /// Saves the sound records of damaged data and reports the losses, instead of serving. Keeps
    /// the damaged files under other names
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

// The way to a cluster. No doc comment, for the reason below.
#[derive(Debug, StructOpt)]
#[cfg_attr(
    not(feature = "cluster"),
    expect(dead_code, reason = "without the engine, the arguments are an error")
)]
pub(crate) struct ClusterOpts {
    /// Nodes of a Redis Cluster, for the engine cluster. One that answers is enough
    #[structopt(
        long = "cluster",
        name = "cluster",
        value_name = "HOST:PORT,...",
        use_delimiter = true
    )]
    pub(crate) nodes: Vec<String>,

    /// The time after which a request fails that no node of the cluster has done [default: 12s]
    #[structopt(long = "cluster-time", value_name = "TIME", requires = "cluster", parse(try_from_str = cli::parse_time))]
    pub(crate) time: Option<Duration>,

    /// A file with the password of the cluster, which only its owner may read. The environment
    /// variable `KVS_CLUSTER_PASSWORD` has it otherwise
    #[structopt(
        long = "cluster-password-file",
        value_name = "FILE",
        requires = "cluster",
        parse(from_os_str)
    )]
    pub(crate) password_file: Option<PathBuf>,

    /// The user that the password belongs to [default: the default user of the cluster]
    #[structopt(long = "cluster-user", value_name = "NAME", requires = "cluster")]
    pub(crate) user: Option<String>,
}

// The limits for peers. This is no doc comment, because structopt would replace the one of the
// program with it.
#[derive(Debug, StructOpt)]
pub(crate) struct LimitOpts {
    /// The longest frame [default: 16MiB]
    #[structopt(long, value_name = "SIZE", parse(try_from_str = parse_size))]
    max_frame: Option<u64>,

    /// The most requests of one connection in flight [default: 256]
    #[structopt(long, value_name = "N")]
    max_in_flight: Option<NonZeroUsize>,

    /// The most connections at a time [default: 10000]
    #[structopt(long, value_name = "N")]
    max_connections: Option<NonZeroUsize>,

    /// The memory of all connections together, not counting 32 KiB for each [default: 512MiB]
    #[structopt(long, value_name = "SIZE", parse(try_from_str = parse_size))]
    max_memory: Option<u64>,

    /// The number of network threads, and so of cores that connections may keep busy [default: half
    /// of the cores]
    #[structopt(long, value_name = "N")]
    network_threads: Option<NonZeroUsize>,

    /// The time in which a frame has to arrive [default: 30s]
    #[structopt(long, value_name = "TIME", parse(try_from_str = cli::parse_time))]
    frame_time: Option<Duration>,

    /// The time in which a peer has to receive the replies that wait for it [default: 30s]
    #[structopt(long, value_name = "TIME", parse(try_from_str = cli::parse_time))]
    reply_time: Option<Duration>,

    /// The time that a shutdown leaves for the requests in flight [default: 10s]
    #[structopt(long, value_name = "TIME", parse(try_from_str = cli::parse_time))]
    shutdown_time: Option<Duration>,
}

impl LimitOpts {
    pub(crate) fn limits(&self) -> Limits {
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

/// Reads a number of bytes, which is not 0. K, M and G stand for powers of 1024, as KiB, MiB and
/// GiB do.
fn parse_size(text: &str) -> Result<u64, String> {
    let sizes = parse_size::Config::new().with_binary();
    match sizes.parse_size(text) {
        Ok(0) => Err("the size must not be 0".to_owned()),
        Ok(size) => Ok(size),
        Err(error) => Err(format!("{error}; give a size as in 64KiB, 512M or 2G")),
    }
}
