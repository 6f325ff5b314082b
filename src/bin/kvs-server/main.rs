//! The server as a program.

mod check;
#[path = "../cli/mod.rs"]
mod cli;
#[cfg(feature = "cluster")]
mod cluster;
mod logger;
mod memory;
mod options;
mod patience;

use std::env;
use std::ffi::OsStr;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use std::thread;

use failure::{Error, ResultExt, format_err};
use kvs::engine::{DataDir, EngineKind, KvStoreOptions};
use kvs::server::{self, Limits, Signals};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvsEngine, KvsError, KvsServer, Token, TokioFsEngine};
use log::{info, warn};

use self::cli::{Failure, Host, Result};
use self::options::Opt;
use self::patience::Patience;

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
    cli::main(|opt| run(&opt, &signals?).map_err(with_hint))
}

/// Returns whether the argument asks for a check or a repair. clap takes `--verify=x` for
/// `--verify`.
fn is_check(arg: &OsStr) -> bool {
    let arg = arg.as_bytes();
    arg.starts_with(b"--verify") || arg.starts_with(b"--repair")
}

/// Makes the allocator take the memory of each long value from the system and return it with the
/// value, and lets all threads use the memory of short ones.
///
/// By default, glibc raises the limit after the first long value, and takes the memory of such
/// values from the heaps of its threads. A heap returns only its end, so a server would keep
/// hundreds of megabytes after a burst. A fixed limit prevents that.
///
/// All threads share one heap. With a heap each, a value that one thread has evicted from the cache
/// leaves room that no other thread can use, and the cache took twice the memory that it may.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code, reason = "glibc has only a C function for this setting")]
fn give_back_memory() {
    const FROM_THE_SYSTEM: i32 = 256 * 1024;
    const SPARE: i32 = 1024 * 1024;
    // SAFETY: these calls set numbers of the allocator, and no other thread runs yet.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, FROM_THE_SYSTEM);
        libc::mallopt(libc::M_TRIM_THRESHOLD, SPARE);
        libc::mallopt(libc::M_ARENA_MAX, 1);
    }
}

/// Adds the arguments that help to an error of the library, which does not know them.
fn with_hint(error: Error) -> Error {
    let hint = match error.downcast_ref() {
        Some(KvsError::WrongEngine { found, .. }) => &format!("--engine {found}"),
        Some(KvsError::Unprotected { .. }) => "--auth-token-file",
        Some(KvsError::Cluster { .. }) => "--cluster names its nodes",
        Some(KvsError::NoLog { .. }) => "--data-dir chooses the directory",
        Some(KvsError::Damaged { .. }) => "--verify shows all damage, --repair repairs it",
        _ => return error,
    };
    format_err!("{error} ({hint})")
}

fn run(opt: &Opt, signals: &Signals) -> Result<()> {
    let dir = opt.data_dir.as_deref().unwrap_or(Path::new("."));
    if opt.verify {
        return check::verify(dir, opt.print());
    }
    if opt.repair {
        return check::repair(dir, opt.print());
    }
    if opt.all || opt.json {
        return Err(Failure::usage("--all and --json need --verify or --repair"));
    }
    serve(opt, dir, signals)
}

/// Opens the engine in `dir` and serves it until a signal stops the server.
fn serve(opt: &Opt, dir: &Path, signals: &Signals) -> Result<()> {
    let token = opt.auth_token_file.as_deref().map(Token::from_file);
    let token = token.transpose()?;
    let mut limits = opt.limits.limits();
    let wanted = limits.connections;
    let connections = limits.reserve_descriptors()?;
    if connections < wanted {
        warn!("the limit on descriptors (ulimit -n) allows only {connections} connections");
    }
    let patience = Patience::default();
    let addrs = addrs(opt.addr.as_ref())?;
    // The port comes first: if another process has it, the data directory stays as it is.
    let listen = |addr| server::listen(addr, token.as_ref());
    let listener = patience.retry(|| cli::first_of(&addrs, listen))?;
    let engine = match opt.engine {
        Some(engine) => engine,
        None if !opt.cluster.nodes.is_empty() => EngineKind::Cluster,
        None => DataDir::engine_of(dir)?.unwrap_or(EngineKind::Kvs),
    };
    // File work waits for the disk more than for a core.
    let threads = 2 * thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let sync = opt.sync.unwrap_or_default();
    let mut options = KvStoreOptions::default().sync(sync);
    if let Some(bytes) = opt.dead_bytes {
        options = options.dead_bytes(bytes);
    }
    if let Some(bytes) = opt.cache.or_else(|| Some(memory::of_machine()? / 4)) {
        options = options.cache_bytes(bytes);
    }
    let setup = Setup {
        dir,
        engine,
        limits,
        token,
        listener,
        signals,
    };
    match engine {
        EngineKind::Kvs => {
            let open = || options.open::<SharedQueueThreadPool>(dir, threads);
            setup.serve(patience.retry(open)?)
        }
        EngineKind::TokioFs => {
            let open = || TokioFsEngine::open_with(&options, dir, threads);
            setup.serve(patience.retry(open)?)
        }
        #[cfg(feature = "sled")]
        EngineKind::Sled => {
            let open = || kvs::SledKvsEngine::<SharedQueueThreadPool>::open(dir, sync, threads);
            setup.serve(patience.retry(open)?)
        }
        #[cfg(not(feature = "sled"))]
        EngineKind::Sled => Err(not_compiled(engine)),
        #[cfg(feature = "cluster")]
        EngineKind::Cluster => setup.serve(cluster::open(opt, sync)?),
        #[cfg(not(feature = "cluster"))]
        EngineKind::Cluster => Err(not_compiled(engine)),
        other => Err(format_err!("this program has no engine {other}")),
    }
}

#[cfg(not(all(feature = "sled", feature = "cluster")))]
fn not_compiled(engine: EngineKind) -> Error {
    format_err!(
        "{engine} is not compiled in; build kvs-server with its feature, as in `cargo build \
         --features {engine}`"
    )
}

/// Returns the addresses of the host, of which there is at least one.
fn addrs(host: Option<&Host>) -> Result<Vec<SocketAddr>> {
    let Some(host) = host else {
        return Ok(vec![cli::DEFAULT_ADDR]);
    };
    let addrs = host.addrs();
    Ok(addrs.context(format!("cannot find the address of {host}"))?)
}

/// A server without its store, which is still to be opened.
struct Setup<'a> {
    dir: &'a Path,
    engine: EngineKind,
    limits: Limits,
    token: Option<Token>,
    listener: TcpListener,
    signals: &'a Signals,
}

impl Setup<'_> {
    fn serve(self, store: impl KvsEngine) -> Result<()> {
        let mut server = KvsServer::new(store).limits(self.limits);
        if let Some(token) = self.token {
            server = server.token(token);
        }
        let server = server.listen(self.listener)?;
        self.signals.shut_down(server.shutdown_handle());
        let (addr, version) = (server.local_addr(), env!("CARGO_PKG_VERSION"));
        let (engine, dir) = (self.engine, self.dir);
        let place = match engine {
            EngineKind::Cluster => "the cluster".to_owned(),
            _ => format!(
                "{:?}",
                dir.canonicalize().unwrap_or_else(|_| dir.to_owned())
            ),
        };
        info!("kvs-server {version}, engine {engine}, address {addr}, data in {place}");
        announce(addr);
        Ok(server.run()?)
    }
}

/// Prints the address on stdout. If stdout is a pipe without a reader, only the thread that prints
/// waits.
fn announce(addr: SocketAddr) {
    let print = move || {
        // If a script has read the address, it must find the line before this one in the log.
        log::logger().flush();
        if let Err(error) = cli::print(format_args!("listening on {addr}")) {
            warn!("{error}; the server continues");
        }
    };
    let thread = thread::Builder::new().name("kvs-stdout".to_owned());
    if thread.spawn(print).is_err() {
        print();
    }
}
