//! Both servers as their stores grow.

use std::io;

use super::common::median;
use super::load::{Load, Taken};
use super::server::{Kind, Server};
use super::{RATIOS, ratios, rounds};

/// The measurements of one server with a number of keys.
#[derive(Default)]
struct Grown {
    gets: Vec<Taken>,
    sets: Vec<Taken>,
    /// Bytes of memory after the load.
    memory: u64,
    /// The most bytes in files that were seen during the load.
    files: u64,
    /// Seconds until the server listens after a kill, and after a stop.
    openings: [f64; 2],
}

/// Prints the table of all sizes, which are numbers of keys. Each value has `value_bytes` bytes.
pub fn compare(sizes: &[u32], value_bytes: usize) -> io::Result<()> {
    println!("\n{:<18} {RATIOS} p99.9 kvs, ms  redis, ms", "50x16");
    for keys in sizes {
        let load = Load {
            connections: 50,
            depth: 16,
            gets: 100,
            keys: *keys,
            value_bytes,
        };
        let mut servers = Vec::new();
        for kind in [Kind::Kvs, Kind::Redis] {
            if kind.is_installed() {
                let server = Server::start(kind, "everysec", &load)?;
                server.fill(&load)?;
                servers.push(server);
            }
        }
        let grown = measure(&mut servers, &load)?;
        let (kvs, redis) = (&grown[0], grown.get(1));
        let no_taken = Vec::new();
        for (name, taken, base) in [
            ("get", &kvs.gets, redis.map(|redis| &redis.gets)),
            ("set", &kvs.sets, redis.map(|redis| &redis.sets)),
        ] {
            let base = base.unwrap_or(&no_taken);
            let slowest = |taken: &[Taken]| median(taken.iter().map(|t| t.micros(0.999) / 1e3));
            println!(
                "{name}, {keys:<13} {} {:>13.1} {:>10.1}",
                ratios(taken, base),
                slowest(taken),
                slowest(base)
            );
        }
        for (name, figure) in [
            (
                "memory, MiB",
                (|g| g.memory as f64 / f64::from(1 << 20)) as fn(&Grown) -> f64,
            ),
            ("files, MB", |g| g.files as f64 / 1e6),
            ("open after a kill, s", |g| g.openings[0]),
            ("open after a stop, s", |g| g.openings[1]),
        ] {
            let redis = redis.map_or(f64::NAN, figure);
            println!(
                "    {name:<20} kvs {:>8.2}  redis {redis:>8.2}",
                figure(kvs)
            );
        }
    }
    Ok(())
}

fn measure(servers: &mut [Server], load: &Load) -> io::Result<Vec<Grown>> {
    const SECONDS: u64 = 3;
    let mut grown: Vec<_> = servers.iter().map(|_| Grown::default()).collect();
    for _ in 0..rounds() {
        for (server, grown) in servers.iter().zip(&mut grown) {
            grown.gets.push(server.run(load, SECONDS)?);
        }
    }
    let sets = Load {
        gets: 0,
        ..load.clone()
    };
    for _ in 0..rounds() {
        for (server, grown) in servers.iter().zip(&mut grown) {
            grown.sets.push(server.run(&sets, SECONDS)?);
            grown.files = grown.files.max(server.files());
        }
    }
    for (server, grown) in servers.iter_mut().zip(&mut grown) {
        grown.memory = server.memory();
        for (signal, opening) in ["KILL", "TERM"].into_iter().zip(&mut grown.openings) {
            *opening = server.restart(signal)?.as_secs_f64();
        }
    }
    Ok(grown)
}
