//! A tour of the clients: a job with real input, and the cost of each way to write the client.
//!
//! `cargo run --release --all-features --example tour [-- --dir DIR]`. With `--dir`, the data stays
//! in that directory. Without `--all-features`, the tour shows the clients that are compiled in.

mod cost;
mod job;

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::{self, JoinHandle};

use kvs::server::ShutdownHandle;
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsError, KvsServer, Result};
use structopt::StructOpt;

/// Stores the packages of Cargo.lock in a server with every client, and measures the clients.
#[derive(StructOpt)]
struct Opt {
    /// Keeps the data in this directory
    #[structopt(long, value_name = "DIR", parse(from_os_str))]
    dir: Option<PathBuf>,
}

const NEXT: &str = "
Where to go next:

docs/introduction.md    the course, which begins with the first future
docs/side-by-side.md    all figures, and which client is good for what
docs/by-hand.md         how a future works inside, with variants/manual.rs
docs/pin.md             why std futures are pinned, with variants/pinned.rs and awaited.rs
docs/command-line.md    the store itself: server and client as programs";

fn main() -> ExitCode {
    match run(&Opt::from_args()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(opt: &Opt) -> Result<()> {
    let scratch = tempfile::tempdir().map_err(KvsError::io("make a temporary directory"))?;
    let dir = opt.dir.as_deref().unwrap_or(scratch.path());
    job::run(dir)?;
    cost::run(dir)?;
    println!("{NEXT}");
    Ok(())
}

/// A server on a free port, on its own threads.
struct Server {
    addr: SocketAddr,
    shutdown: ShutdownHandle,
    thread: JoinHandle<Result<()>>,
}

impl Server {
    fn start(dir: &Path) -> Result<Server> {
        let store = KvStore::<SharedQueueThreadPool>::open(dir, 4)?;
        let server = KvsServer::new(store).bind(([127, 0, 0, 1], 0).into())?;
        Ok(Server {
            addr: server.local_addr(),
            shutdown: server.shutdown_handle(),
            thread: thread::spawn(|| server.run()),
        })
    }

    fn stop(self) -> Result<()> {
        self.shutdown.shutdown();
        let ended = self.thread.join();
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}

/// Starts a runtime that runs all its tasks on this thread.
fn runtime() -> Result<tokio::runtime::current_thread::Runtime> {
    let runtime: io::Result<_> = tokio::runtime::current_thread::Runtime::new();
    runtime.map_err(KvsError::io("start a runtime"))
}
