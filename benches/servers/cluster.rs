//! The engine on a Redis Cluster: beside the cluster connection of its library, beside
//! `redis-benchmark`, and in a server beside a server that has the pairs itself.

use std::io;
use std::process::Command;
use std::time::{Duration, Instant};

use futures::Future;
use futures::executor;
use futures::stream::FuturesUnordered;
use futures03::StreamExt;
use kvs::KvsEngine;
use kvs::engine::{ClusterEngine, ClusterOptions, SyncLevel};
use redis::Cmd;
use redis::cluster::ClusterClient;
use redis::cluster_async::ClusterConnection;
use tempfile::tempdir;
use tokio1::runtime::Runtime;

use super::common::{ServerProcess, median};
use super::load::{Load, Protocol, Running, fill};
use super::nodes::Cluster;
use super::server::WARM_UP;
use super::{redis as of_redis, rounds};

const KEYS: usize = 10_000;
const TIME: Duration = Duration::from_secs(1);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    Get,
    Set,
}

/// The keys, and the value of all of them. They are made once, so that this takes no time of the
/// requests.
struct Pairs {
    keys: Vec<String>,
    value: String,
}

impl Pairs {
    fn new() -> Pairs {
        let key = |n: usize| format!("key{:08}", n.wrapping_mul(7919) % KEYS);
        Pairs {
            keys: (0..KEYS).map(key).collect(),
            value: "v".repeat(64),
        }
    }

    fn key(&self, n: usize) -> String {
        self.keys[n % KEYS].clone()
    }
}

/// Prints the tables.
pub fn compare() -> io::Result<()> {
    if !of_redis::is_installed() {
        println!("{}", of_redis::NOT_INSTALLED);
        return Ok(());
    }
    let cluster = Cluster::start();
    let engine = |sync| ClusterOptions::new(cluster.addrs()).sync(sync).open();
    let open = |sync| engine(sync).map_err(io::Error::other);
    let (plain, safe) = (open(SyncLevel::EverySec)?, open(SyncLevel::Always)?);
    let runtime = tokio1::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let nodes = cluster
        .addrs()
        .into_iter()
        .map(|addr| format!("redis://{addr}"));
    let client = ClusterClient::new(nodes).map_err(io::Error::other)?;
    let theirs = runtime.block_on(client.get_async_connection());
    let theirs = theirs.map_err(io::Error::other)?;
    // Every key has a value from the start.
    let pairs = Pairs::new();
    measure(&pairs, &plain, Op::Set, 100, |n| n >= KEYS);

    println!("cell             engine req/s  of ClusterConnection  of redis-benchmark  always");
    for (op, depth) in [(Op::Set, 800), (Op::Get, 800), (Op::Set, 1), (Op::Get, 1)] {
        let mut rates = [const { Vec::new() }; 4];
        for _ in 0..rounds() {
            let start = Instant::now();
            rates[0].push(measure(&pairs, &plain, op, depth, |_| {
                start.elapsed() >= TIME
            }));
            rates[1].push(measure_theirs(&pairs, &runtime, &theirs, op, depth));
            rates[2].push(redis_benchmark(&cluster, op, depth)?);
            let start = Instant::now();
            rates[3].push(measure(&pairs, &safe, op, depth, |_| {
                start.elapsed() >= TIME
            }));
        }
        let of = |n: usize| {
            let rates = rates[0].iter().zip(&rates[n]);
            median(rates.map(|(ours, other)| ours / other))
        };
        println!(
            "{:<16} {:>12.0} {:>21.2} {:>19.2} {:>7.2}",
            format!("{op:?} {depth}").to_lowercase(),
            median(rates[0].iter().copied()),
            of(1),
            of(2),
            1.0 / of(3),
        );
    }
    compare_servers(&cluster)
}

/// Prints the throughput of servers on the cluster, and of one that has the pairs itself.
fn compare_servers(cluster: &Cluster) -> io::Result<()> {
    let dir = tempdir()?;
    let nodes = cluster.addrs().join(",");
    let on_cluster =
        |sync| ServerProcess::start_without_dir(&["--cluster", &nodes, "--sync", sync]);
    let servers = [
        ServerProcess::start(dir.path(), &[]),
        on_cluster("everysec"),
        on_cluster("always"),
    ];
    println!("\ncell             one kvs req/s  on a cluster   cpu  always   cpu");
    for (name, gets, depth) in [
        ("set 50x16", 0, 16),
        ("get 50x16", 100, 16),
        ("set 50", 0, 1),
        ("get 50", 100, 1),
    ] {
        let load = Load {
            connections: 50,
            depth,
            gets,
            keys: KEYS as u32,
            value_bytes: 64,
        };
        let mut taken = [const { Vec::new() }; 3];
        for server in &servers {
            fill(Protocol::Kvs, server.addr, &load)?;
        }
        for _ in 0..rounds() {
            for (server, taken) in servers.iter().zip(&mut taken) {
                let mut running = Running::connect(Protocol::Kvs, server.addr, &load)?;
                taken.push(running.run(server.id(), WARM_UP, TIME)?);
            }
        }
        let [one, on_cluster, always] = &taken;
        println!(
            "{name:<16} {:>13.0} {:>13.2} {:>5.2} {:>7.2} {:>5.2}",
            super::throughput(one),
            super::ratio(on_cluster, one, |taken| taken.per_second),
            super::ratio(on_cluster, one, |taken| taken.per_processor_second),
            super::ratio(always, one, |taken| taken.per_second),
            super::ratio(always, one, |taken| taken.per_processor_second),
        );
    }
    Ok(())
}

/// Returns the requests a second with `depth` of them under way.
fn measure(
    pairs: &Pairs,
    engine: &ClusterEngine,
    op: Op,
    depth: usize,
    is_over: impl Fn(usize) -> bool,
) -> f64 {
    let request = |n: usize| -> Box<dyn Future<Item = (), Error = kvs::KvsError> + '_> {
        match op {
            Op::Set => Box::new(engine.set(pairs.key(n), pairs.value.clone())),
            Op::Get => {
                let check = |found: Option<String>| assert_eq!(found.as_ref(), Some(&pairs.value));
                Box::new(engine.get(pairs.key(n)).map(check))
            }
        }
    };
    let start = Instant::now();
    let running: FuturesUnordered<_> = (0..depth).map(request).collect();
    let (mut running, mut sent, mut done) = (executor::spawn(running), depth, 0);
    while let Some(answer) = running.wait_stream() {
        answer.unwrap();
        done += 1;
        if !is_over(done) {
            running.get_mut().push(request(sent));
            sent += 1;
        }
    }
    done as f64 / start.elapsed().as_secs_f64()
}

/// Does the same over the cluster connection of the library.
fn measure_theirs(
    pairs: &Pairs,
    runtime: &Runtime,
    theirs: &ClusterConnection,
    op: Op,
    depth: usize,
) -> f64 {
    let request = |n: usize| {
        let mut connection = theirs.clone();
        async move {
            if op == Op::Set {
                let set = Cmd::set(&pairs.keys[n % KEYS], &pairs.value);
                return set.exec_async(&mut connection).await.unwrap();
            }
            let get = Cmd::get(&pairs.keys[n % KEYS]);
            let found: String = get.query_async(&mut connection).await.unwrap();
            assert_eq!(found, pairs.value);
        }
    };
    runtime.block_on(async {
        let (start, mut sent, mut done) = (Instant::now(), depth, 0);
        let requests = (0..depth).map(request);
        let mut running: futures03::stream::FuturesUnordered<_> = requests.collect();
        while let Some(()) = StreamExt::next(&mut running).await {
            done += 1;
            if start.elapsed() < TIME {
                running.push(request(sent));
                sent += 1;
            }
        }
        f64::from(done) / start.elapsed().as_secs_f64()
    })
}

/// Returns the requests a second of `redis-benchmark`, with 50 connections and 16 requests under
/// way on each, or with one of both.
fn redis_benchmark(cluster: &Cluster, op: Op, depth: usize) -> io::Result<f64> {
    let addr = cluster.addr(0);
    let port = addr.rsplit(':').next().unwrap_or_default();
    let op = format!("{op:?}").to_lowercase();
    let (clients, pipeline, count) = match depth {
        1 => ("1", "1", "20000"),
        _ => ("50", "16", "500000"),
    };
    let out = Command::new("redis-benchmark")
        .args([
            "--cluster",
            "-p",
            port,
            "-t",
            &op,
            "-c",
            clients,
            "-P",
            pipeline,
        ])
        .args(["-n", count, "-d", "64", "-r", "10000", "--csv"])
        .output()?;
    let out = String::from_utf8_lossy(&out.stdout);
    // A line is `"SET","498256.12",…`.
    let mut lines = out
        .lines()
        .filter(|line| line.to_lowercase().starts_with(&format!("\"{op}")));
    let line = lines.next_back();
    let rate = line.and_then(|line| line.split('"').nth(3)?.parse().ok());
    rate.ok_or_else(|| io::Error::other(format!("redis-benchmark printed {out}")))
}
