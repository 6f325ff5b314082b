//! kvs-server and redis-server under the same load, one after the other: `cargo bench --bench
//! servers`.
//!
//! Arguments after `--` choose cells of the table by their names, and `--plots DIR` draws pictures
//! instead. `KVS_ROUNDS` and `KVS_SECONDS` set the number of rounds and the length of each. Without
//! redis-server, the benchmark measures kvs alone.

#[path = "../../tests/common/mod.rs"]
mod common;
mod load;
mod plots;
mod redis;

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use common::{ServerProcess, median, memory, number};
use load::{Load, Protocol, Running, Taken};
use redis::Redis;
use structopt::StructOpt;
use tempfile::TempDir;

const WARM_UP: Duration = Duration::from_millis(300);

/// A row of the table.
struct Cell {
    name: &'static str,
    sync: &'static str,
    load: Load,
}

fn cells() -> Vec<Cell> {
    let cell = |name, gets, connections, depth| Cell {
        name,
        sync: "everysec",
        load: Load {
            connections,
            depth,
            gets,
            keys: 10_000,
            value_bytes: 64,
        },
    };
    let always = |cell| Cell {
        sync: "always",
        ..cell
    };
    let long = |mut cell: Cell| {
        cell.load.value_bytes = 4096;
        cell
    };
    vec![
        cell("get-1", 100, 1, 1),
        cell("get-1x64", 100, 1, 64),
        cell("get-50", 100, 50, 1),
        cell("get-50x16", 100, 50, 16),
        cell("set-50", 0, 50, 1),
        cell("set-50x16", 0, 50, 16),
        cell("mixed-50x16", 80, 50, 16),
        cell("get-500", 100, 500, 1),
        always(cell("set-50-always", 0, 50, 1)),
        always(cell("set-50x16-always", 0, 50, 16)),
        long(cell("get-50-4k", 100, 50, 1)),
        long(cell("set-50-4k", 0, 50, 1)),
    ]
}

/// Compares kvs-server with redis-server.
#[derive(StructOpt)]
struct Opt {
    /// Draws pictures into this directory instead of printing the table
    #[structopt(long, value_name = "DIR", parse(from_os_str))]
    plots: Option<PathBuf>,
    /// The cells of the table to fill; without any, all of them
    cells: Vec<String>,
    /// Cargo passes this flag to every benchmark
    #[structopt(long, hidden = true)]
    #[expect(dead_code, reason = "the benchmark ignores it")]
    bench: bool,
}

fn main() -> io::Result<()> {
    let opt = Opt::from_args();
    let wanted =
        |cell: &Cell| opt.cells.is_empty() || opt.cells.iter().any(|name| name == cell.name);
    if !redis::is_installed() {
        println!("{}\n", redis::NOT_INSTALLED);
    }
    if let Some(dir) = &opt.plots {
        return plots::draw(dir);
    }
    println!("cell                 kvs req/s   redis req/s  ratio   p99 kvs us  p99 redis us");
    for cell in cells().iter().filter(|cell| wanted(cell)) {
        println!(
            "{:<18} {}",
            cell.name,
            compare(cell.sync, &cell.load)?.row()
        );
    }
    if opt.cells.is_empty() {
        compare_memory()?;
    }
    Ok(())
}

/// The measurements of both servers under a load, one for each round.
struct Compared {
    kvs: Vec<Taken>,
    /// Empty if there is no redis-server.
    redis: Vec<Taken>,
}

/// Starts both servers, and puts them under a load one after the other.
fn compare(sync: &str, load: &Load) -> io::Result<Compared> {
    let mut kvs = Server::start(Protocol::Kvs, sync)?;
    let mut redis = if redis::is_installed() {
        Some(Server::start(Protocol::Redis, sync)?)
    } else {
        None
    };
    for server in [Some(&mut kvs), redis.as_mut()].into_iter().flatten() {
        server.fill(load)?;
    }
    let mut compared = Compared {
        kvs: Vec::new(),
        redis: Vec::new(),
    };
    for _ in 0..number("KVS_ROUNDS", 5) {
        compared.kvs.push(kvs.run(load)?);
        if let Some(redis) = &mut redis {
            compared.redis.push(redis.run(load)?);
        }
    }
    Ok(compared)
}

impl Compared {
    fn row(&self) -> String {
        let [kvs, redis] = [&self.kvs, &self.redis].map(|taken| throughput(taken));
        let [kvs_p99, redis_p99] = [&self.kvs, &self.redis].map(|taken| {
            let micros = |taken: &Taken| taken.latency.value_at_quantile(0.99) as f64 / 1e3;
            median(taken.iter().map(micros))
        });
        let pairs = self.kvs.iter().zip(&self.redis);
        let ratio = median(pairs.map(|(kvs, redis)| kvs.per_second / redis.per_second));
        format!("{kvs:>11.0} {redis:>13.0} {ratio:>6.2} {kvs_p99:>12.0} {redis_p99:>13.0}")
    }
}

fn throughput(taken: &[Taken]) -> f64 {
    median(taken.iter().map(|taken| taken.per_second))
}

/// Prints the memory that the servers use.
fn compare_memory() -> io::Result<()> {
    const KEYS: u32 = 100_000;
    let load = Load {
        connections: 500,
        depth: 1,
        gets: 100,
        keys: KEYS,
        value_bytes: 64,
    };
    println!("\nserver   MiB at first  MiB with 500 connections  bytes a key");
    for (name, protocol) in [("kvs", Protocol::Kvs), ("redis", Protocol::Redis)] {
        if protocol == Protocol::Redis && !redis::is_installed() {
            break;
        }
        let few = Load {
            keys: 1000,
            ..load.clone()
        };
        let mut server = Server::start(protocol, "everysec")?;
        let at_first = memory(server.id(), "VmRSS");
        server.fill(&few)?;
        let mut running = Running::connect(protocol, server.addr, &few)?;
        running.run(WARM_UP, WARM_UP)?;
        let connected = memory(server.id(), "VmRSS");
        drop(running);
        let before = memory(server.id(), "VmRSS");
        server.fill(&load)?;
        let a_key = (memory(server.id(), "VmRSS") - before) / u64::from(KEYS);
        let [at_first, connected] =
            [at_first, connected].map(|bytes| bytes as f64 / f64::from(1 << 20));
        println!("{name:<6} {at_first:>14.1} {connected:>25.1} {a_key:>12}");
    }
    Ok(())
}

/// A server on a free port and in a new directory. Dropping this kills it.
struct Server {
    protocol: Protocol,
    addr: SocketAddr,
    process: Process,
    _dir: TempDir,
}

enum Process {
    Kvs(ServerProcess),
    Redis(Redis),
}

impl Server {
    fn start(protocol: Protocol, sync: &str) -> io::Result<Server> {
        let dir = tempfile::tempdir()?;
        let (addr, process) = match protocol {
            Protocol::Kvs => {
                let server = ServerProcess::start(dir.path(), &["--sync", sync]);
                (server.addr, Process::Kvs(server))
            }
            Protocol::Redis => {
                let server = Redis::start(dir.path(), &["--appendfsync", sync])?;
                (server.addr, Process::Redis(server))
            }
        };
        Ok(Server {
            protocol,
            addr,
            process,
            _dir: dir,
        })
    }

    fn id(&self) -> u32 {
        match &self.process {
            Process::Kvs(server) => server.id(),
            Process::Redis(server) => server.id(),
        }
    }

    fn fill(&mut self, load: &Load) -> io::Result<()> {
        load::fill(self.protocol, self.addr, load)
    }

    fn run(&mut self, load: &Load) -> io::Result<Taken> {
        let time = Duration::from_secs(number("KVS_SECONDS", 1));
        Running::connect(self.protocol, self.addr, load)?.run(WARM_UP, time)
    }
}
