//! All pairs out of a server and into one, beside redis: `cargo bench --bench copy`.
//!
//! A file has a million pairs. `kvs-client load` puts them into an empty kvs-server, and `redis-cli
//! --pipe` puts the same pairs into an empty redis-server. Then `kvs-client dump` writes the pairs
//! to a file, and redis-server rewrites its append-only file. Each step is measured by its time,
//! and by the time of the processors that the server takes, and the program beside it (Linux only).
//!
//! `KVS_PAIRS` and `KVS_ROUNDS` set other numbers, and `--test` a tenth of the pairs and one round.
//! Without redis, the benchmark measures kvs alone.

#[path = "../tests/common/mod.rs"]
mod common;
#[path = "servers/redis.rs"]
mod redis;
#[path = "servers/used.rs"]
mod used;

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use assert_cmd::cargo::cargo_bin;
use common::{ServerProcess, median, number};
use rand::SeedableRng;
use rand::distr::{Alphanumeric, SampleString};
use rand::rngs::SmallRng;
use redis::Redis;
use structopt::StructOpt;

const VALUE_BYTES: usize = 64;

/// Measures the copy of many pairs.
#[derive(StructOpt)]
struct Opt {
    /// Copies a tenth of the pairs, once
    #[structopt(long)]
    test: bool,
    /// Cargo passes this flag to every benchmark
    #[structopt(long, hidden = true)]
    #[expect(dead_code, reason = "the benchmark ignores it")]
    bench: bool,
}

fn main() -> io::Result<()> {
    let opt = Opt::from_args();
    let (part, rounds) = if opt.test { (10, 1) } else { (1, 5) };
    let pairs = number("KVS_PAIRS", 1_000_000 / part);
    let rounds = number("KVS_ROUNDS", rounds);
    let has_redis = redis::is_installed();
    if !has_redis {
        println!("{}\n", redis::NOT_INSTALLED);
    }
    let dir = tempfile::tempdir()?;
    let input = Input::write(dir.path(), pairs)?;
    let mut steps = [const { Vec::new() }; 4];
    for _ in 0..rounds {
        let [load, dump] = copy_with_kvs(&input)?;
        steps[0].push(load);
        steps[2].push(dump);
        if has_redis {
            let [pipe, rewrite] = copy_with_redis(&input, pairs)?;
            steps[1].push(pipe);
            steps[3].push(rewrite);
        }
    }
    println!("{pairs} pairs with values of {VALUE_BYTES} bytes; medians of {rounds} rounds\n");
    println!("                    pairs/s  ratio  server us/pair  ratio  client us/pair");
    let [load, pipe, dump, rewrite] = &steps;
    for (name, step, base) in [
        ("kvs-client load", load, pipe),
        ("redis-cli --pipe", pipe, pipe),
        ("kvs-client dump", dump, rewrite),
        ("BGREWRITEAOF", rewrite, rewrite),
    ] {
        if !step.is_empty() {
            println!("{name:<16} {}", row(step, base, pairs as f64));
        }
    }
    Ok(())
}

/// The same pairs for both kinds of servers.
struct Input {
    json: PathBuf,
    /// `SET` commands in the protocol of redis.
    resp: PathBuf,
}

impl Input {
    fn write(dir: &Path, pairs: u64) -> io::Result<Input> {
        let input = Input {
            json: dir.join("pairs.jsonl"),
            resp: dir.join("pairs.resp"),
        };
        let mut random = SmallRng::seed_from_u64(1);
        let mut json = BufWriter::new(File::create(&input.json)?);
        let mut resp = BufWriter::new(File::create(&input.resp)?);
        for number in 0..pairs {
            let key = format!("key:{number:012}");
            // redis compresses a value in which something is repeated.
            let value = Alphanumeric.sample_string(&mut random, VALUE_BYTES);
            writeln!(json, r#"["{key}","{value}"]"#)?;
            let (k, v) = (key.len(), value.len());
            write!(
                resp,
                "*3\r\n$3\r\nSET\r\n${k}\r\n{key}\r\n${v}\r\n{value}\r\n"
            )?;
        }
        json.flush()?;
        resp.flush()?;
        Ok(input)
    }
}

/// The measurements of a step, in seconds.
struct Taken {
    time: f64,
    /// The time of the processors for the server.
    server: f64,
    /// The same for the program that has loaded or dumped.
    client: f64,
}

impl Taken {
    /// Measures a step that the server with this process executes, and children of this process.
    fn of(server: u32, step: impl FnOnce() -> io::Result<()>) -> io::Result<Taken> {
        // The system writes what the step before has left for the disk.
        rustix::fs::sync();
        let start = Instant::now();
        let used = || Ok::<_, io::Error>((used::by(server)?, used::by(std::process::id())?));
        let ([server, child], [_, client]) = used()?;
        step()?;
        let time = start.elapsed().as_secs_f64();
        let ([server_after, child_after], [_, client_after]) = used()?;
        Ok(Taken {
            time,
            server: server_after - server + child_after - child,
            client: client_after - client,
        })
    }
}

/// Loads the pairs into a new kvs-server, and dumps them.
fn copy_with_kvs(input: &Input) -> io::Result<[Taken; 2]> {
    let dir = tempfile::tempdir()?;
    let server = ServerProcess::start(dir.path(), &["--engine", "kvs"]);
    let client = |command| {
        let mut client = Command::new(cargo_bin!("kvs-client"));
        client.args([command, "--addr", &server.addr.to_string()]);
        client
    };
    let load = Taken::of(server.id(), || {
        succeed(client("load").arg(&input.json).stdout(Stdio::null()))
    })?;
    let dumped = dir.path().join("dump");
    let dump = Taken::of(server.id(), || {
        succeed(client("dump").stdout(File::create(&dumped)?))
    })?;
    let is_same = fs::read(dumped)? == fs::read(&input.json)?;
    assert!(is_same, "the dump has other pairs, or another order");
    Ok([load, dump])
}

/// Loads the pairs into a new redis-server, and has it rewrite its append-only file.
fn copy_with_redis(input: &Input, pairs: u64) -> io::Result<[Taken; 2]> {
    let dir = tempfile::tempdir()?;
    // It must not rewrite the file in the middle of the load.
    let args = ["--auto-aof-rewrite-percentage", "0"];
    let server = Redis::start(dir.path(), &args)?;
    let port = server.addr.port().to_string();
    let pipe = Taken::of(server.id(), || {
        let mut client = Command::new("redis-cli");
        client.args(["-p", &port, "--pipe"]).stdout(Stdio::null());
        succeed(client.stdin(File::open(&input.resp)?))
    })?;
    let mut connection = TcpStream::connect(server.addr)?;
    assert_eq!(ask(&mut connection, "DBSIZE")?, format!(":{pairs}\r\n"));
    let rewrite = Taken::of(server.id(), || {
        ask(&mut connection, "BGREWRITEAOF")?;
        let is_over = |info: String| {
            info.contains("aof_rewrite_scheduled:0") && info.contains("aof_rewrite_in_progress:0")
        };
        while !is_over(ask(&mut connection, "INFO persistence")?) {
            // Redis has no command that waits for the end of a rewrite.
            thread::sleep(Duration::from_millis(2));
        }
        Ok(())
    })?;
    let info = ask(&mut connection, "INFO persistence")?;
    assert!(info.contains("aof_last_bgrewrite_status:ok"), "{info}");
    Ok([pipe, rewrite])
}

fn succeed(command: &mut Command) -> io::Result<()> {
    let status = command.status()?;
    assert!(status.success(), "{command:?}: {status}");
    Ok(())
}

/// Sends a command to redis-server, and returns a reply of less than 16 KiB.
fn ask(connection: &mut TcpStream, command: &str) -> io::Result<String> {
    connection.write_all(format!("{command}\r\n").as_bytes())?;
    let mut reply = vec![0; 16 * 1024];
    let len = connection.read(&mut reply)?;
    Ok(String::from_utf8_lossy(&reply[..len]).into_owned())
}

/// Returns a row of the table, with ratios to `base`.
fn row(step: &[Taken], base: &[Taken], pairs: f64) -> String {
    let all = |figure: fn(&Taken) -> f64| median(step.iter().map(figure));
    let ratio = |figure: fn(&Taken) -> f64| {
        let rounds = step.iter().zip(base);
        median(rounds.map(|(step, base)| figure(step) / figure(base)))
    };
    let micros = |seconds: f64| seconds * 1e6 / pairs;
    format!(
        "{:>10.0} {:>6.2} {:>15.2} {:>6.2} {:>15.2}",
        pairs / all(|it| it.time),
        1.0 / ratio(|it| it.time),
        micros(all(|it| it.server)),
        ratio(|it| it.server),
        micros(all(|it| it.client)),
    )
}
