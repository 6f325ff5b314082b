//! The server as a program.

#[path = "../cli/mod.rs"]
mod cli;
mod logger;

use std::env;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::num::{NonZero, NonZeroU64, NonZeroUsize};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use failure::{Error, format_err};
use indicatif::{ProgressBar, ProgressStyle};
use kvs::engine::{self, DataDir, EngineKind, KvStoreOptions, Progress, Report, SyncLevel};
use kvs::server::{self, Limits, Signals};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine, KvsError, KvsServer, Token, TokioFsEngine};
use log::{debug, info, warn};
use structopt::StructOpt;

type Result<T> = std::result::Result<T, Error>;

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
#[structopt(name = "kvs-server")]
struct Opt {
    /// Where to listen; port 0 takes any free port [default: 127.0.0.1:4000]
    #[structopt(long, value_name = "IP:PORT")]
    addr: Option<SocketAddr>,

    /// Which engine keeps the data; kvs and tokio-fs can open each other's directories [default:
    /// sled for a directory of sled, kvs for any other]
    #[structopt(long, value_name = "ENGINE", possible_values = &EngineKind::ALL.map(EngineKind::as_str))]
    engine: Option<EngineKind>,

    /// Where the data is [default: the current directory]
    #[structopt(long, value_name = "DIR", parse(from_os_str))]
    data_dir: Option<PathBuf>,

    /// When a write is on the disk: before it is acknowledged, about a second later, or when the
    /// system likes; a kill of the server loses no acknowledged write [default: everysec]
    #[structopt(long, value_name = "LEVEL", possible_values = &SyncLevel::ALL.map(SyncLevel::as_str))]
    sync: Option<SyncLevel>,

    /// Dead bytes (of older values and removed keys) at which the engines kvs and tokio-fs begin to
    /// compact, if no fewer than are live [default: 8 times the live bytes, but at least 8388608
    /// and at most 67108864]
    #[structopt(long, value_name = "BYTES")]
    dead_bytes: Option<NonZeroU64>,

    /// A file with the token that every client has to show; without one, only this machine can
    /// connect. Only its owner may read it (mode 0600 or 0400), or also a group if it is root's and
    /// the server does not run as root
    #[structopt(long, value_name = "FILE", parse(from_os_str))]
    auth_token_file: Option<PathBuf>,

    #[structopt(flatten)]
    limits: LimitOpts,

    /// Instead of serving, read all the data and report damage; changes nothing, and needs only the
    /// right to read
    #[structopt(long, conflicts_with = "repair", conflicts_with_all = SERVING)]
    verify: bool,

    /// Instead of serving, save the sound records of damaged data and report the losses; keeps the
    /// damaged files
    #[structopt(long, conflicts_with_all = SERVING)]
    repair: bool,

    /// Show every damaged place and every loss, not only the first ten of each
    #[structopt(long)]
    all: bool,

    /// Print what --verify or --repair finds as one JSON object
    #[structopt(long, conflicts_with = "all")]
    json: bool,
}

impl Opt {
    fn print(&self) -> Print {
        match (self.json, self.all) {
            (true, _) => Print::Json,
            (false, true) => Print::Lines(usize::MAX),
            (false, false) => Print::Lines(10),
        }
    }
}

/// The limits for peers.
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

fn main() -> ExitCode {
    // This comes first, because only threads that start later inherit the blocked signals.
    let signals = Signals::block();
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    give_back_memory();
    logger::log_to_stderr();
    let signals = signals.and_then(|signals| {
        // This cannot wait until the arguments are parsed, because a signal may come earlier.
        if env::args_os().any(|arg| is_check(&arg)) {
            signals.interrupt();
        }
        signals.obey()?;
        Ok(signals)
    });
    cli::main(|opt| run(opt, &signals?).map_err(with_hint))
}

/// Returns whether the argument asks for a check or a repair. clap takes `--verify=x` for `--verify`.
fn is_check(arg: &OsStr) -> bool {
    let arg = arg.as_bytes();
    arg.starts_with(b"--verify") || arg.starts_with(b"--repair")
}

/// Makes the allocator take the memory of each long value from the system, and return it with the
/// value.
///
/// By default, glibc raises the limit after the first long value, and takes the memory of such
/// values from the heaps of its threads. A heap returns only its end, so a server would keep
/// hundreds of megabytes after a burst. A fixed limit prevents that.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "glibc has only a C function for this setting")]
fn give_back_memory() {
    const FROM_THE_SYSTEM: i32 = 256 * 1024;
    const SPARE: i32 = 1024 * 1024;
    // SAFETY: these calls set two numbers of the allocator, and no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, FROM_THE_SYSTEM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, SPARE);
    }
}

/// Adds to an error of the library the arguments that help. The library does not know them.
fn with_hint(error: Error) -> Error {
    let hint = match error.downcast_ref() {
        Some(KvsError::WrongEngine { found, .. }) => &format!("--engine {found}"),
        Some(KvsError::Unprotected { .. }) => "--auth-token-file",
        Some(KvsError::NoLog { .. }) => "--data-dir chooses the directory",
        Some(KvsError::Damaged { .. }) => "--verify shows all damage, --repair repairs it",
        _ => return error,
    };
    format_err!("{error} ({hint})")
}

fn run(opt: Opt, signals: &Signals) -> Result<()> {
    let addr = opt.addr.unwrap_or(cli::DEFAULT_ADDR);
    let dir = opt.data_dir.clone().unwrap_or_else(|| ".".into());
    if opt.verify {
        return verify(&dir, opt.print());
    }
    if opt.repair {
        return repair(&dir, opt.print());
    }
    if opt.all || opt.json {
        return Err(format_err!("--all and --json need --verify or --repair"));
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
    let patience = Patience::default();
    let listener = patience.retry(|| server::listen(addr, token.as_ref()))?;
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
            let store: KvStore<SharedQueueThreadPool> =
                patience.retry(|| options.open(&dir, threads))?;
            serve(store, engine, listener, protection, &dir, signals)
        }
        EngineKind::TokioFs => {
            let store = patience.retry(|| TokioFsEngine::open_with(&options, &dir, threads))?;
            serve(store, engine, listener, protection, &dir, signals)
        }
        #[cfg(feature = "sled")]
        EngineKind::Sled => {
            let open = || kvs::SledKvsEngine::<SharedQueueThreadPool>::open(&dir, sync, threads);
            let store = patience.retry(open)?;
            serve(store, engine, listener, protection, &dir, signals)
        }
        #[cfg(not(feature = "sled"))]
        EngineKind::Sled => Err(format_err!(
            "sled is not compiled in; build kvs-server with its feature, as in \
             `cargo build --features sled`"
        )),
        other => Err(format_err!("this program has no engine {other}")),
    }
}

fn serve(
    store: impl KvsEngine,
    engine: EngineKind,
    listener: TcpListener,
    (limits, token): (Limits, Option<Token>),
    dir: &Path,
    signals: &Signals,
) -> Result<()> {
    let server = KvsServer::new(store).limits(limits);
    let server = match token {
        Some(token) => server.token(token),
        None => server,
    };
    let server = server.listen(listener)?;
    signals.shut_down(server.shutdown_handle());
    let (addr, version) = (server.local_addr(), env!("CARGO_PKG_VERSION"));
    let dir = dir.canonicalize().unwrap_or_else(|_| dir.to_owned());
    info!("kvs-server {version}, engine {engine}, address {addr}, data in {dir:?}");
    let announce = move || {
        // If a script has read the address, it must find the line above in the log.
        log::logger().flush();
        if let Err(error) = cli::print(format_args!("listening on {addr}")) {
            warn!("{error}; the server continues");
        }
    };
    // This runs on a separate thread: if stdout is a pipe without a reader, only that thread waits.
    let thread = thread::Builder::new().name("kvs-stdout".to_owned());
    if thread.spawn(announce).is_err() {
        announce();
    }
    Ok(server.run()?)
}

/// How long to wait until the previous process has released the port and the directory. It may have
/// been killed a moment ago, and the system may be busy.
struct Patience {
    until: Instant,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            until: Instant::now() + Duration::from_secs(2),
        }
    }
}

impl Patience {
    /// Repeats the attempt while something is in use, until the time is over. Then returns the last
    /// error.
    fn retry<T, E: Into<Error>>(
        &self,
        mut attempt: impl FnMut() -> std::result::Result<T, E>,
    ) -> Result<T> {
        let mut waited_for = None;
        loop {
            match attempt().map_err(Into::into) {
                Err(error) if is_in_use(&error) && Instant::now() < self.until => {
                    waited_for.get_or_insert_with(|| {
                        debug!("trying again: {error}");
                        (error, Instant::now())
                    });
                    thread::sleep(Duration::from_millis(20));
                }
                result => {
                    // If the attempt fails, the error says enough.
                    if let (Ok(_), Some((error, since))) = (&result, waited_for) {
                        info!("waited {:.1?} because {error}", since.elapsed());
                    }
                    return result;
                }
            }
        }
    }
}

fn is_in_use(error: &Error) -> bool {
    match error.downcast_ref() {
        Some(KvsError::Locked { .. }) => true,
        Some(KvsError::Io { source, .. }) => source.kind() == ErrorKind::AddrInUse,
        _ => false,
    }
}

/// How a report is printed.
#[derive(Clone, Copy)]
enum Print {
    /// For people, with at most this many lines of each kind.
    Lines(usize),
    /// For programs, as a single JSON object.
    Json,
}

impl Print {
    fn report(self, report: &Report) -> Result<()> {
        match self {
            Print::Lines(most) => cli::print(report.first(most, " (--all shows them)")),
            Print::Json => cli::print(serde_json::to_string(report)?),
        }
    }

    fn note(self, line: &str) -> Result<()> {
        match self {
            Print::Lines(_) => cli::print(line),
            Print::Json => Ok(()),
        }
    }
}

fn verify(path: &Path, print: Print) -> Result<()> {
    let patience = Patience::default();
    let report = with_progress(|progress| patience.retry(|| engine::verify_dir(path, progress)))?;
    print.report(&report)?;
    if report.is_sound() {
        return print.note("sound");
    }
    Err(format_err!(
        "{path:?} is damaged in {} place(s): kvs-server --repair saves what is sound",
        report.damage.len()
    ))
}

fn repair(path: &Path, print: Print) -> Result<()> {
    let patience = Patience::default();
    let repaired = with_progress(|progress| patience.retry(|| engine::repair_dir(path, progress)))?;
    if repaired.has_new_marker {
        print.note("the file that names the engine was damaged, and has been written again")?;
    }
    let report = repaired.report;
    print.report(&report)?;
    print.note(if report.kept.is_empty() && report.is_sound() {
        "nothing to repair"
    } else {
        "repaired, the server can be started"
    })
}

/// Shows the progress of the work on a terminal.
fn with_progress<T>(work: impl FnOnce(Progress<'_>) -> T) -> T {
    let style = ProgressStyle::with_template("{bytes} of {total_bytes} {wide_bar} {eta}");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or(ProgressStyle::default_bar()));
    let done = work(&mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    done
}
