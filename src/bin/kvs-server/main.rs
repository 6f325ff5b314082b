//! The server as a program.

#[path = "../cli/mod.rs"]
mod cli;
mod logger;
mod opt;

use std::env;
use std::ffi::OsStr;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use failure::{Error, ResultExt, format_err};
use indicatif::{ProgressBar, ProgressStyle};
use kvs::engine::{self, DataDir, EngineKind, KvStoreOptions, Progress, Report};
use kvs::server::{self, Limits, Signals};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine, KvsError, KvsServer, Token, TokioFsEngine};
use log::{debug, info, warn};

use crate::cli::{Failure, Host};
use crate::opt::{Opt, Print};

type Result<T> = std::result::Result<T, Error>;

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
    let dir = opt.data_dir.clone().unwrap_or_else(|| ".".into());
    if opt.verify {
        return verify(&dir, opt.print());
    }
    if opt.repair {
        return repair(&dir, opt.print());
    }
    if opt.all || opt.json {
        return Err(Failure::usage(
            "error: --all and --json need --verify or --repair",
        ));
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
    let listener = listen(opt.addr, token.as_ref(), &patience)?;
    let protection = (limits, token);
    let engine = match opt.engine {
        Some(engine) => engine,
        None => DataDir::engine_of(&dir)?.unwrap_or(EngineKind::Kvs),
    };
    // File work waits for the disk more than for a core.
    let threads = 2 * thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    let mut options = KvStoreOptions::default().sync(sync);
    if let Some(bytes) = opt.dead_bytes {
        options = options.dead_bytes(bytes);
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

/// Listens on the first address of the host that can be listened on.
fn listen(host: Option<Host>, token: Option<&Token>, patience: &Patience) -> Result<TcpListener> {
    let addrs = match host {
        Some(host) => {
            let addrs = host.addrs();
            addrs.context(format!("cannot find the address of {host}"))?
        }
        None => vec![cli::DEFAULT_ADDR],
    };
    patience.retry(|| listen_on_first(&addrs, token))
}

fn listen_on_first(addrs: &[SocketAddr], token: Option<&Token>) -> Result<TcpListener> {
    let mut attempts = addrs.iter().map(|addr| server::listen(*addr, token));
    let mut last = attempts.next().expect("a host has an address");
    for attempt in attempts {
        if last.is_ok() {
            break;
        }
        last = attempt;
    }
    Ok(last?)
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
