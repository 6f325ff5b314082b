//! The server as a program.

use std::net::{SocketAddr, TcpListener};
use std::num::{NonZero, NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use env_logger::Env;
use indicatif::{ProgressBar, ProgressStyle};
use kvs::engine::{self, DataDir, EngineKind, KvStoreOptions, SyncLevel};
use kvs::server::{self, Limits};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{
    KvStore, KvsEngine, KvsError, KvsServer, Result, SledKvsEngine, Token, TokioFsEngine, cli,
};
use log::{info, warn};
use structopt::StructOpt;

/// A persistent key/value server.
///
/// Prints the address it listens on, and serves until it is stopped. Log lines go to stderr;
/// `RUST_LOG` chooses which.
#[derive(Debug, StructOpt)]
#[structopt(name = "kvs-server")]
struct Opt {
    /// Where to listen; port 0 takes any free port [default: 127.0.0.1:4000]
    #[structopt(long, value_name = "IP:PORT")]
    addr: Option<SocketAddr>,

    /// Which engine keeps the data; a directory of kvs is one of tokio-fs, too [default: kvs or
    /// sled, whose directory it is, else kvs]
    #[structopt(long, value_name = "ENGINE", possible_values = &EngineKind::NAMES)]
    engine: Option<EngineKind>,

    /// Where the data is [default: the current directory]
    #[structopt(long, value_name = "DIR", parse(from_os_str))]
    data_dir: Option<PathBuf>,

    /// When a write is done: on the disk, on the disk within a second, or when the system likes;
    /// sled survives a kill only with `always` [default: everysec]
    #[structopt(long, value_name = "LEVEL", possible_values = &SyncLevel::NAMES)]
    sync: Option<SyncLevel>,

    /// Bytes of older values and of removed keys at which the engines kvs and tokio-fs begin to
    /// compact, if no fewer than are alive [default: 8 times those that are alive, but at least
    /// 8388608 and at most 67108864]
    #[structopt(long, value_name = "BYTES")]
    dead_bytes: Option<NonZeroU64>,

    /// A file, of mode 0600, with the token that every client has to show; without one, only this
    /// machine can connect
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    auth_token_file: Option<PathBuf>,

    #[structopt(flatten)]
    limits: LimitOpts,

    /// Look the data over instead of serving it, change nothing, and tell what is wrong with it
    #[structopt(long, conflicts_with_all = &["addr", "engine", "sync", "repair"])]
    verify: bool,

    /// Save what is sound in damaged data instead of serving it, and tell what is lost; the damaged
    /// files are kept beside it
    #[structopt(long, conflicts_with_all = &["addr", "engine", "sync"])]
    repair: bool,
}

/// What peers may ask for.
#[derive(Debug, StructOpt)]
struct LimitOpts {
    /// The longest frame, in bytes [default: 16777216]
    #[structopt(long, value_name = "BYTES")]
    max_frame: Option<NonZeroUsize>,

    /// Requests of one connection that are worked on at once [default: 256]
    #[structopt(long, value_name = "N")]
    max_in_flight: Option<NonZeroUsize>,

    /// Connections at a time [default: 10000]
    #[structopt(long, value_name = "N")]
    max_connections: Option<NonZeroUsize>,

    /// Memory of all connections together, in bytes, not counting 32 KiB for each
    /// [default: 536870912]
    #[structopt(long, value_name = "BYTES")]
    max_memory: Option<NonZeroUsize>,

    /// Threads for the network, and so the cores that connections may keep busy
    /// [default: half of the cores]
    #[structopt(long, value_name = "N")]
    network_threads: Option<NonZeroUsize>,

    /// Seconds in which a frame has to arrive [default: 30]
    #[structopt(long, value_name = "SECONDS")]
    frame_time: Option<NonZeroU64>,

    /// Seconds in which a peer has to take the replies that wait for it [default: 30]
    #[structopt(long, value_name = "SECONDS")]
    reply_time: Option<NonZeroU64>,

    /// Seconds that a shutdown leaves for what is in flight [default: 10]
    #[structopt(long, value_name = "SECONDS")]
    shutdown_time: Option<NonZeroU64>,
}

impl LimitOpts {
    fn limits(&self) -> Limits {
        let default = Limits::default();
        let number = |given: Option<NonZeroUsize>, default| given.map_or(default, NonZero::get);
        let time = |given: Option<NonZeroU64>, default| {
            given.map_or(default, |seconds| Duration::from_secs(seconds.get()))
        };
        Limits {
            frame_bytes: number(self.max_frame, default.frame_bytes),
            in_flight: number(self.max_in_flight, default.in_flight),
            connections: number(self.max_connections, default.connections),
            memory_bytes: number(self.max_memory, default.memory_bytes),
            threads: number(self.network_threads, default.threads),
            frame_time: time(self.frame_time, default.frame_time),
            reply_time: time(self.reply_time, default.reply_time),
            shutdown_time: time(self.shutdown_time, default.shutdown_time),
        }
    }
}

fn main() -> ExitCode {
    cli::main(run)
}

fn run(opt: Opt) -> Result<()> {
    env_logger::Builder::from_env(Env::default().default_filter_or("info")).init();

    let addr = opt.addr.unwrap_or(cli::DEFAULT_ADDR);
    let dir = opt.data_dir.unwrap_or_else(|| ".".into());
    if opt.verify || opt.repair {
        return look_over(&dir, opt.repair);
    }
    let sync = opt.sync.unwrap_or_default();
    let token = opt.auth_token_file.as_deref().map(Token::from_file);
    let token = token.transpose()?;
    let mut limits = opt.limits.limits();
    let wanted = limits.connections;
    let connections = limits.reserve_descriptors()?;
    if connections < wanted {
        warn!("there are descriptors for {connections} connections only (ulimit -n)");
    }
    let listener = server::listen(addr, token.as_ref())?;
    let protection = (limits, token);
    let engine = match opt.engine {
        Some(engine) => engine,
        None => DataDir::engine_of(&dir)?.unwrap_or(EngineKind::Kvs),
    };
    // File work waits for the disk more than for a core.
    let threads = 2 * thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let mut options = KvStoreOptions::default().sync(sync);
    if let Some(bytes) = opt.dead_bytes {
        options = options.dead_bytes(bytes.get());
    }
    match engine {
        EngineKind::Kvs => {
            let store: KvStore<SharedQueueThreadPool> = options.open(&dir, threads)?;
            serve(store, engine, listener, protection, &dir)
        }
        EngineKind::TokioFs => {
            let store = TokioFsEngine::open_with(&options, &dir, threads)?;
            serve(store, engine, listener, protection, &dir)
        }
        EngineKind::Sled => {
            let store = SledKvsEngine::<SharedQueueThreadPool>::open(&dir, sync, threads)?;
            serve(store, engine, listener, protection, &dir)
        }
    }
}

fn serve(
    store: impl KvsEngine,
    engine: EngineKind,
    listener: TcpListener,
    (limits, token): (Limits, Option<Token>),
    dir: &Path,
) -> Result<()> {
    let server = KvsServer::new(store).limits(limits);
    let server = match token {
        Some(token) => server.token(token),
        None => server,
    };
    let server = server.listen(listener)?;
    server::stop_on_signals(server.shutdown_handle())?;
    let (addr, version) = (server.local_addr(), env!("CARGO_PKG_VERSION"));
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    info!("kvs-server {version}, engine {engine}, address {addr}, data in {dir:?}");
    cli::print(format_args!("listening on {addr}"))?;
    server.run()
}

fn look_over(path: &Path, repair: bool) -> Result<()> {
    let dir = match DataDir::engine_of(path) {
        Ok(Some(EngineKind::Kvs)) => DataDir::claim(path, EngineKind::Kvs)?,
        Ok(None) | Err(KvsError::Damaged { .. }) if repair && engine::holds_log(path)? => {
            cli::print("the file that names the engine is damaged or missing: made anew")?;
            DataDir::claim_anew(path, EngineKind::Kvs)?
        }
        Err(error) => return Err(error),
        Ok(_) => {
            return Err(KvsError::NoLog {
                dir: path.to_owned(),
            });
        }
    };
    // It shows on a terminal alone.
    let style = ProgressStyle::with_template("{bytes} of {total_bytes} {wide_bar} {eta}");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or(ProgressStyle::default_bar()));
    let mut progress = |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    };
    let report = match repair {
        true => engine::repair(&dir, &mut progress),
        false => engine::verify(&dir, &mut progress),
    };
    bar.finish_and_clear();
    let report = report?;
    cli::print(&report)?;
    if repair {
        return cli::print(match report.kept.is_empty() && report.is_sound() {
            true => "nothing to repair",
            false => "repaired, the server can be started",
        });
    }
    match report.is_sound() {
        true => cli::print("sound"),
        false => Err(KvsError::Unsound {
            dir: path.to_owned(),
            places: report.damage.len(),
        }),
    }
}
