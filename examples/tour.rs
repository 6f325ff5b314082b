//! The main job on real input: the packages of this repository's own `Cargo.lock`, stored over
//! the network, read back, partly removed, and still right after a restart of the server.
//!
//! `cargo run --release --example tour [-- --dir DIR]`; with `--dir` the data stays there.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use kvs::client::blocking::KvsClient;
use kvs::server::ShutdownHandle;
use kvs::thread_pool::SharedQueueThreadPool;
use kvs::{KvStore, KvsError, KvsServer, Result, cli};
use structopt::StructOpt;

/// Stores the packages of Cargo.lock in a server of its own and checks every one.
#[derive(StructOpt)]
struct Opt {
    /// Keeps the data in this directory
    #[structopt(long, value_name = "DIR", parse(from_os_str))]
    dir: Option<PathBuf>,
}

fn main() -> ExitCode {
    cli::main(run)
}

fn run(opt: Opt) -> Result<()> {
    let scratch = tempfile::tempdir().map_err(KvsError::io("make a temporary directory"))?;
    let dir = opt.dir.as_deref().unwrap_or(scratch.path());
    let mut packages = read_lock_file();
    println!(
        "{} packages in Cargo.lock, data in {}\n",
        packages.len(),
        dir.display()
    );
    println!(
        "{:<34} {:>8} {:>10} {:>12}",
        "step", "requests", "bytes", "time"
    );

    let server = Server::start(dir)?;
    let mut client = KvsClient::connect(server.addr)?;
    step(
        "set name@version -> checksum",
        packages.iter(),
        |(key, value)| client.set(key.clone(), value.clone()),
    )?;
    step("get all, and check", packages.iter(), |(key, value)| {
        check(&mut client, key, Some(value))
    })?;
    let removed: Vec<_> = packages.keys().cloned().step_by(10).collect();
    let removed: Vec<_> = removed
        .iter()
        .filter_map(|key| packages.remove_entry(key))
        .collect();
    step(
        "rm every tenth",
        removed.iter().map(|(key, value)| (key, value)),
        |(key, _)| client.remove(key.clone()),
    )?;
    drop(client);

    let began = Instant::now();
    server.stop()?;
    let server = Server::start(dir)?;
    let mut client = KvsClient::connect(server.addr)?;
    row("restart the server", 0, 0, began.elapsed());
    step(
        "get all that is left, and check",
        packages.iter(),
        |(key, value)| check(&mut client, key, Some(value)),
    )?;
    step(
        "get what was removed, and check",
        removed.iter().map(|(key, value)| (key, value)),
        |(key, _)| check(&mut client, key, None),
    )?;
    drop(client);
    server.stop()?;

    println!(
        "\n{} keys are there, {} bytes on disk. Every reply was right.",
        packages.len(),
        size_of_files(dir).map_err(KvsError::io(format_args!("look into {dir:?}")))?
    );
    Ok(())
}

fn size_of_files(dir: &Path) -> io::Result<u64> {
    fs::read_dir(dir)?
        .map(|entry| Ok(entry?.metadata()?.len()))
        .sum()
}

/// Every package with a checksum, as name@version.
fn read_lock_file() -> BTreeMap<String, String> {
    let text = include_str!("../Cargo.lock");
    let lock: toml::Table = text.parse().expect("Cargo.lock is TOML");
    let packages = lock["package"].as_array().expect("Cargo.lock has packages");
    let entry = |package: &toml::Value| {
        let field = |name| package.get(name)?.as_str();
        let key = format!("{}@{}", field("name")?, field("version")?);
        Some((key, field("checksum")?.to_owned()))
    };
    packages.iter().filter_map(entry).collect()
}

fn check(client: &mut KvsClient, key: &str, expected: Option<&String>) -> Result<()> {
    let value = client.get(key.to_owned())?;
    assert_eq!(value.as_ref(), expected, "the value of {key} is wrong");
    Ok(())
}

/// Does `work` for each pair, and prints how many there were and how long it took.
fn step<'a>(
    name: &str,
    pairs: impl Iterator<Item = (&'a String, &'a String)>,
    mut work: impl FnMut((&'a String, &'a String)) -> Result<()>,
) -> Result<()> {
    let began = Instant::now();
    let (mut requests, mut bytes) = (0, 0);
    for (key, value) in pairs {
        work((key, value))?;
        requests += 1;
        bytes += key.len() + value.len();
    }
    row(name, requests, bytes, began.elapsed());
    Ok(())
}

fn row(step: &str, requests: usize, bytes: usize, time: Duration) {
    let millis = time.as_secs_f64() * 1e3;
    println!("{step:<34} {requests:>8} {bytes:>10} {millis:>9.2} ms");
}

/// A server on a thread of its own.
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
        self.thread
            .join()
            .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }
}
