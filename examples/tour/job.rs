//! A job for each client: it stores the packages of this repository's `Cargo.lock` over the
//! network, reads them back, removes some, and checks the rest after a restart of the server.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Instant;

use futures::future;
use kvs::client::blocking;
use kvs::{KvsError, Result};
use tokio::runtime::current_thread::Runtime;

use super::Server;

type Packages = BTreeMap<String, String>;

/// The steps of the job. A client with futures has all requests of a step pending at once. The
/// blocking client sends one after the other.
trait Job: Sized {
    fn connect(addr: SocketAddr) -> Result<Self>;
    fn set(&mut self, pairs: &Packages) -> Result<()>;
    fn get(&mut self, keys: &[String]) -> Result<Vec<Option<String>>>;
    fn remove(&mut self, keys: &[String]) -> Result<()>;
}

impl Job for blocking::KvsClient {
    fn connect(addr: SocketAddr) -> Result<Self> {
        blocking::KvsClient::connect(addr)
    }

    fn set(&mut self, pairs: &Packages) -> Result<()> {
        let mut pairs = pairs.iter();
        pairs.try_for_each(|(key, value)| self.set(key.clone(), value.clone()))
    }

    fn get(&mut self, keys: &[String]) -> Result<Vec<Option<String>>> {
        keys.iter().map(|key| self.get(key.clone())).collect()
    }

    fn remove(&mut self, keys: &[String]) -> Result<()> {
        keys.iter().try_for_each(|key| self.remove(key.clone()))
    }
}

/// A client with futures, and the runtime that it needs.
#[allow(dead_code, reason = "without a feature there is no such client")]
struct OnRuntime<C> {
    client: C,
    runtime: Runtime,
}

impl<C: kvs::client::Client> Job for OnRuntime<C> {
    fn connect(addr: SocketAddr) -> Result<Self> {
        let mut runtime = super::runtime()?;
        let client = runtime.block_on(C::connect(addr))?;
        Ok(OnRuntime { client, runtime })
    }

    fn set(&mut self, pairs: &Packages) -> Result<()> {
        let pairs = pairs.iter();
        let sets = pairs.map(|(key, value)| self.client.set(key.clone(), value.clone()));
        let sets: Vec<_> = sets.collect();
        self.runtime.block_on(future::join_all(sets)).map(|_| ())
    }

    fn get(&mut self, keys: &[String]) -> Result<Vec<Option<String>>> {
        let gets = keys.iter().map(|key| self.client.get(key.clone()));
        let gets: Vec<_> = gets.collect();
        self.runtime.block_on(future::join_all(gets))
    }

    fn remove(&mut self, keys: &[String]) -> Result<()> {
        let removes = keys.iter().map(|key| self.client.remove(key.clone()));
        let removes: Vec<_> = removes.collect();
        self.runtime.block_on(future::join_all(removes)).map(|_| ())
    }
}

pub(super) fn run(dir: &Path) -> Result<()> {
    let packages = read_lock_file();
    println!(
        "\
A job: each client stores the {} packages of Cargo.lock in a server, gets them all, removes a
tenth, and gets them again after a restart of the server. The tour checks every reply.

A client with futures sends all requests of a step, and then waits for the replies. The blocking
client waits for each reply before it sends the next request, so it pays for the way to the server
and back each time. In a release build, it takes many times as long.

Milliseconds of each step, with the data in {}:
",
        packages.len(),
        dir.display()
    );
    println!(
        "{:<9} {:>11} {:>11} {:>11} {:>11} {:>11}",
        "client", "set all", "get all", "rm a tenth", "restart", "get all"
    );
    work::<blocking::KvsClient>("blocking", dir, &packages)?;
    #[cfg(feature = "boxed")]
    work::<OnRuntime<kvs::client::boxed::KvsClient>>("boxed", dir, &packages)?;
    #[cfg(feature = "explicit")]
    work::<OnRuntime<kvs::client::explicit::KvsClient>>("explicit", dir, &packages)?;
    #[cfg(feature = "anon")]
    work::<OnRuntime<kvs::client::anon::KvsClient>>("anon", dir, &packages)?;
    #[cfg(feature = "manual")]
    work::<OnRuntime<kvs::client::manual::KvsClient>>("manual", dir, &packages)?;
    #[cfg(feature = "pinned")]
    work::<OnRuntime<kvs::client::pinned::KvsClient>>("pinned", dir, &packages)?;
    #[cfg(feature = "awaited")]
    work::<OnRuntime<kvs::client::awaited::KvsClient>>("awaited", dir, &packages)?;

    let values: usize = packages
        .iter()
        .map(|(key, value)| key.len() + value.len())
        .sum();
    let on_disk = size_of_files(dir).map_err(KvsError::io(format_args!("look into {dir:?}")))?;
    println!(
        "\nEvery reply was right. {values} bytes of keys and values, {on_disk} bytes on disk, \
         including the records that were replaced."
    );
    Ok(())
}

fn work<J: Job>(name: &str, dir: &Path, packages: &Packages) -> Result<()> {
    let keys: Vec<String> = packages.keys().cloned().collect();
    let removed: Vec<String> = keys.iter().step_by(10).cloned().collect();
    let mut times = Vec::new();
    let mut time = |began: Instant| times.push(began.elapsed().as_secs_f64() * 1e3);

    let server = Server::start(dir)?;
    let mut client = J::connect(server.addr)?;
    let began = Instant::now();
    client.set(packages)?;
    time(began);
    let began = Instant::now();
    let values = client.get(&keys)?;
    time(began);
    check(&keys, &values, |key| packages.get(key));
    let began = Instant::now();
    client.remove(&removed)?;
    time(began);
    drop(client);

    let began = Instant::now();
    server.stop()?;
    let server = Server::start(dir)?;
    let mut client = J::connect(server.addr)?;
    time(began);
    let began = Instant::now();
    let values = client.get(&keys)?;
    time(began);
    check(&keys, &values, |key| {
        packages.get(key).filter(|_| !removed.contains(key))
    });
    drop(client);
    server.stop()?;

    print!("{name:<9}");
    times.iter().for_each(|time| print!(" {time:>11.2}"));
    println!();
    Ok(())
}

fn check<'a>(
    keys: &[String],
    values: &[Option<String>],
    expected: impl Fn(&String) -> Option<&'a String>,
) {
    for (key, value) in keys.iter().zip(values) {
        assert_eq!(value.as_ref(), expected(key), "the value of {key} is wrong");
    }
}

/// Returns the checksum of every package that has one, by name@version.
fn read_lock_file() -> Packages {
    let text = include_str!("../../Cargo.lock");
    let lock: toml::Table = text.parse().expect("Cargo.lock is TOML");
    let packages = lock["package"].as_array().expect("Cargo.lock has packages");
    let entry = |package: &toml::Value| {
        let field = |name| package.get(name)?.as_str();
        let key = format!("{}@{}", field("name")?, field("version")?);
        Some((key, field("checksum")?.to_owned()))
    };
    packages.iter().filter_map(entry).collect()
}

fn size_of_files(dir: &Path) -> io::Result<u64> {
    fs::read_dir(dir)?
        .map(|entry| Ok(entry?.metadata()?.len()))
        .sum()
}
