//! The server as a program.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;

use env_logger::Env;
use indicatif::{ProgressBar, ProgressStyle};
use kvs::engine::{self, DataDir, EngineKind, SyncLevel};
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsEngine, KvsError, KvsServer, Result, SledKvsEngine, cli, server};
use log::info;
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

    /// Which engine keeps the data [default: the one that wrote the directory, else kvs]
    #[structopt(long, value_name = "ENGINE", possible_values = &EngineKind::NAMES)]
    engine: Option<EngineKind>,

    /// Where the data is [default: the current directory]
    #[structopt(long, value_name = "DIR", parse(from_os_str))]
    data_dir: Option<PathBuf>,

    /// When a write is done: on the disk, on the disk within a second, or when the system likes;
    /// sled survives a kill only with `always` [default: everysec]
    #[structopt(long, value_name = "LEVEL", possible_values = &SyncLevel::NAMES)]
    sync: Option<SyncLevel>,

    /// Look the data over instead of serving it, change nothing, and tell what is wrong with it
    #[structopt(long, conflicts_with_all = &["addr", "engine", "sync", "repair"])]
    verify: bool,

    /// Save what is sound in damaged data instead of serving it, and tell what is lost; the damaged
    /// files are kept beside it
    #[structopt(long, conflicts_with_all = &["addr", "engine", "sync"])]
    repair: bool,
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
    let listener = server::listen(addr)?;
    let engine = match opt.engine {
        Some(engine) => engine,
        None => DataDir::engine_of(&dir)?.unwrap_or(EngineKind::Kvs),
    };
    // File work waits for the disk more than for a core.
    let threads = 2 * thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    match engine {
        EngineKind::Kvs => {
            let options = KvStore::<SharedQueueThreadPool>::options().sync(sync);
            let store: KvStore<SharedQueueThreadPool> = options.open(&dir, threads)?;
            serve(store, engine, listener, &dir)
        }
        EngineKind::Sled => {
            let store = SledKvsEngine::<SharedQueueThreadPool>::open(&dir, sync, threads)?;
            serve(store, engine, listener, &dir)
        }
    }
}

fn serve(
    store: impl KvsEngine,
    engine: EngineKind,
    listener: TcpListener,
    dir: &Path,
) -> Result<()> {
    let server = KvsServer::new(store).listen(listener)?;
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
