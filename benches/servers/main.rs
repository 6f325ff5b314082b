//! kvs-server and redis-server under the same load, one after the other: `cargo bench --bench
//! servers`.
//!
//! `--cluster` measures the engine on a Redis Cluster, with the feature `cluster`.
//!
//! Arguments after `--` choose cells of the table by their names, and `--plots DIR` draws pictures
//! instead. `KVS_ROUNDS` and `KVS_SECONDS` set the number of rounds and the length of each. Without
//! redis-server, the benchmark measures kvs alone.

#[cfg(feature = "cluster")]
mod cluster;
#[path = "../../tests/common/mod.rs"]
mod common;
mod growth;
mod limit;
mod load;
#[cfg(feature = "cluster")]
#[path = "../../tests/cluster/nodes.rs"]
mod nodes;
mod plots;
mod redis;
mod server;
mod socket;
mod used;

use std::io;
use std::path::PathBuf;

use common::{median, number};
use load::{Load, Taken};
use server::{Kind, Server, WARM_UP};
use structopt::StructOpt;

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
    /// Measures both servers with so many keys instead: `--keys 100000,20000000`
    #[structopt(long, value_name = "N", use_delimiter = true)]
    keys: Vec<u32>,
    /// The length of each value, with `--keys`
    #[structopt(long, value_name = "BYTES", default_value = "100", parse(try_from_str = value_bytes))]
    value_bytes: usize,
    /// Measures the engine on a Redis Cluster instead
    #[cfg(feature = "cluster")]
    #[structopt(long)]
    cluster: bool,
    /// Is the server that sets the limit
    #[structopt(long, value_name = "BYTES", hidden = true)]
    limit: Option<usize>,
    /// The cells of the table to fill; without any, all of them
    #[structopt(parse(try_from_str = cell_name))]
    cells: Vec<String>,
    /// Cargo passes this flag to every benchmark
    #[structopt(long, hidden = true)]
    #[expect(dead_code, reason = "the benchmark ignores it")]
    bench: bool,
}

fn cell_name(text: &str) -> Result<String, String> {
    let names: Vec<_> = cells().iter().map(|cell| cell.name).collect();
    if names.contains(&text) {
        Ok(text.to_owned())
    } else {
        Err(format!("no such cell; the cells are: {}", names.join(" ")))
    }
}

fn value_bytes(text: &str) -> Result<usize, String> {
    // A value begins with the number of its key, so that the load can check it.
    match text.parse() {
        Ok(bytes) if bytes >= load::DIGITS => Ok(bytes),
        Ok(_) => Err(format!("a value has at least {} bytes", load::DIGITS)),
        Err(error) => Err(error.to_string()),
    }
}

fn main() -> io::Result<()> {
    let opt = Opt::from_args();
    if let Some(value_bytes) = opt.limit {
        return limit::serve(value_bytes);
    }
    #[cfg(feature = "cluster")]
    if opt.cluster {
        return cluster::compare();
    }
    let wants_all = opt.cells.is_empty() && opt.keys.is_empty();
    let wanted = |cell: &Cell| wants_all || opt.cells.iter().any(|name| name == cell.name);
    if !redis::is_installed() {
        println!("{}\n", redis::NOT_INSTALLED);
    }
    if let Some(dir) = &opt.plots {
        return plots::draw(dir);
    }
    if opt.keys.is_empty() {
        println!("{:<18} {RATIOS} of the limit    cpu", "cell");
    }
    for cell in cells().iter().filter(|cell| wanted(cell)) {
        let kinds = [Kind::Kvs, Kind::Redis, Kind::Limit];
        let [kvs, redis, limit] = compare(kinds, cell.sync, &cell.load)?;
        println!(
            "{:<18} {} {:>12.2} {:>6.2}",
            cell.name,
            ratios(&kvs, &redis),
            ratio(&kvs, &limit, |taken| taken.per_second),
            ratio(&kvs, &limit, |taken| taken.per_processor_second),
        );
    }
    if !opt.keys.is_empty() {
        growth::compare(&opt.keys, opt.value_bytes)?;
    }
    if wants_all {
        growth::compare(&[100_000, 1_000_000, 5_000_000], opt.value_bytes)?;
        compare_memory()?;
    }
    Ok(())
}

/// The measurements of servers under a load, one for each round. There are none of a server that
/// is not installed.
type Compared<const N: usize> = [Vec<Taken>; N];

/// Starts servers, and puts them under a load one after the other.
fn compare<const N: usize>(
    kinds: [Kind; N],
    sync: &'static str,
    load: &Load,
) -> io::Result<Compared<N>> {
    let start = |kind: Kind| kind.is_installed().then(|| Server::start(kind, sync, load));
    let mut servers = Vec::new();
    for kind in kinds {
        let server = start(kind).transpose()?;
        if let Some(server) = &server {
            server.fill(load)?;
        }
        servers.push(server);
    }
    let mut compared = [const { Vec::new() }; N];
    for _ in 0..rounds() {
        for (server, taken) in servers.iter().zip(&mut compared) {
            if let Some(server) = server {
                taken.push(server.run(load, 1)?);
            }
        }
    }
    Ok(compared)
}

fn rounds() -> u64 {
    number("KVS_ROUNDS", 5)
}

/// The heads of the columns of [`ratios`].
const RATIOS: &str = "  kvs req/s  of redis    cpu    p99  p99.9";

/// Returns the throughput, and the ratios to another server: of the throughput, of the requests per
/// second of the server's processor time, and of two latencies.
fn ratios(taken: &[Taken], base: &[Taken]) -> String {
    let ratio = |figure: fn(&Taken) -> f64| ratio(taken, base, figure);
    format!(
        "{:>11.0} {:>9.2} {:>6.2} {:>6.2} {:>6.2}",
        throughput(taken),
        ratio(|taken| taken.per_second),
        ratio(|taken| taken.per_processor_second),
        ratio(|taken| taken.micros(0.99)),
        ratio(|taken| taken.micros(0.999)),
    )
}

/// Returns the median of the ratios of the rounds.
fn ratio(taken: &[Taken], base: &[Taken], figure: fn(&Taken) -> f64) -> f64 {
    let pairs = taken.iter().zip(base);
    median(pairs.map(|(taken, base)| figure(taken) / figure(base)))
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
    for (name, kind) in [("kvs", Kind::Kvs), ("redis", Kind::Redis)] {
        if !kind.is_installed() {
            break;
        }
        let few = Load {
            keys: 1000,
            ..load.clone()
        };
        let server = Server::start(kind, "everysec", &load)?;
        let at_first = server.memory();
        server.fill(&few)?;
        let mut running = server.connect(&few)?;
        running.run(server.id(), WARM_UP, WARM_UP)?;
        let connected = server.memory();
        drop(running);
        let before = server.memory();
        server.fill(&load)?;
        let a_key = (server.memory() - before) / u64::from(KEYS);
        let [at_first, connected] =
            [at_first, connected].map(|bytes| bytes as f64 / f64::from(1 << 20));
        println!("{name:<6} {at_first:>14.1} {connected:>25.1} {a_key:>12}");
    }
    Ok(())
}
