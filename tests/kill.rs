//! Real kills: the server is killed again and again on one directory while clients write. After
//! each kill a new server has to know every acknowledged write.
//!
//! `KVS_KILLS=100 cargo test --test kill -- --nocapture` kills that often in every test. The number
//! of a round decides the requests of the clients, but not the moment of the kill. So a test that
//! fails keeps its directory, and prints the path.

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::Path;
use std::sync::mpsc::{self, Sender};
use std::thread;

use assert_cmd::cargo::cargo_bin_cmd;
use common::{ServerProcess, number, size_of_files};
use kvs::client::blocking::KvsClient;
use kvs::{KvsError, Result};
use predicates::str::contains;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};
use tempfile::TempDir;

const CLIENTS: u64 = 4;

/// The requests of the clients, and the moments of the kills.
struct Workload {
    kills: u64,
    args: &'static [&'static str],
    keys_per_client: usize,
    value_len: fn(&mut SmallRng) -> usize,
    /// The number of acknowledgements before a kill can come.
    acknowledgements: Range<usize>,
    /// Whether the server may be killed now, with these files in its directory.
    is_moment: fn(&Path) -> bool,
}

/// Short values, for batches of many writes, and some long ones, which the kernel takes longer to
/// write.
const MIXED: Workload = Workload {
    kills: 6,
    args: &[],
    keys_per_client: 16,
    value_len: |rng| {
        let max = if rng.random_ratio(1, 16) {
            100_000
        } else {
            100
        };
        rng.random_range(0..max)
    },
    acknowledgements: 0..400,
    is_moment: |_| true,
};

/// A few keys, whose dead values soon start a compaction. The kill comes during a compaction.
const COMPACTING: Workload = Workload {
    kills: 9,
    args: &["--dead-bytes", "1048576"],
    keys_per_client: 4,
    value_len: |rng| rng.random_range(1000..4000),
    acknowledgements: 0..600,
    is_moment: is_compacting,
};

/// Returns whether there is an unfinished segment. A new active segment is unfinished too, but not
/// for long.
fn is_compacting(dir: &Path) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| {
        let name = entry.unwrap().file_name();
        name.to_str().unwrap().ends_with(".segment.unfinished")
    })
}

#[test]
fn acknowledged_writes_survive_kills_with_sync_always() {
    kill_again_and_again(&["--sync always"], &MIXED);
}

#[test]
fn acknowledged_writes_survive_kills_with_sync_everysec() {
    kill_again_and_again(&["--sync everysec"], &MIXED);
}

#[test]
fn acknowledged_writes_survive_kills_with_sync_never() {
    kill_again_and_again(&["--sync never"], &MIXED);
}

#[test]
fn acknowledged_writes_survive_kills_on_tokio_fs() {
    kill_again_and_again(
        &[
            "--engine tokio-fs --sync always",
            "--engine tokio-fs --sync everysec",
            "--engine tokio-fs --sync never",
        ],
        &MIXED,
    );
}

#[test]
fn acknowledged_writes_survive_kills_on_sled_with_sync_always() {
    kill_again_and_again(&["--engine sled --sync always"], &MIXED);
}

#[test]
fn acknowledged_writes_survive_kills_on_sled_with_sync_everysec() {
    kill_again_and_again(&["--engine sled --sync everysec"], &MIXED);
}

#[test]
fn acknowledged_writes_survive_kills_on_sled_with_sync_never() {
    kill_again_and_again(&["--engine sled --sync never"], &MIXED);
}

/// The directory stays the same, and the engine changes after each kill.
#[test]
fn acknowledged_writes_survive_a_change_between_kvs_and_tokio_fs() {
    kill_again_and_again(&["--engine tokio-fs", "--engine kvs"], &MIXED);
}

#[test]
fn acknowledged_writes_survive_kills_during_compaction() {
    compacts_between_kills(&SYNC_LEVELS);
}

#[test]
fn acknowledged_writes_survive_kills_during_compaction_on_tokio_fs() {
    compacts_between_kills(&["--engine tokio-fs --sync always", "--engine tokio-fs"]);
}

const SYNC_LEVELS: [&str; 3] = ["--sync always", "--sync everysec", "--sync never"];

fn compacts_between_kills(flags: &[&str]) {
    let (dir, server, mut clients) = kill_again_and_again(flags, &COMPACTING);

    // The next writes make up for the compactions that the kills prevented.
    let live: usize = clients.iter().map(Keys::live_bytes).sum();
    let first = dir.path().join("0000000001.segment");
    let mut client = KvsClient::connect(server.addr).unwrap();
    let mut rng = SmallRng::seed_from_u64(0);
    let is_tidy = (0..2000).any(|_| {
        let operated = clients[0].operate(&mut client, &COMPACTING, &mut rng);
        operated.unwrap();
        !first.exists() && size_of_files(dir.path()) < 2 * (live as u64 + 1024 * 1024)
    });
    assert!(
        is_tidy,
        "{} bytes for {live} of values",
        size_of_files(dir.path())
    );
    for keys in &mut clients {
        keys.audit(&mut client);
    }
}

#[test]
fn a_directory_has_one_server_until_that_is_killed() {
    let dir = Dir::new();
    let mut first = ServerProcess::start(dir.path(), &[]);
    let mut client = KvsClient::connect(first.addr).unwrap();
    let [key, value] = ["key", "value"].map(str::to_owned);
    client.set(key.clone(), value.clone()).unwrap();

    let mut second = cargo_bin_cmd!("kvs-server");
    let second = second.args(["--addr", "127.0.0.1:0", "--data-dir"]);
    let refused = second.arg(dir.path()).assert().failure();
    refused.stderr(contains(dir.path().to_str().unwrap()));
    assert_eq!(client.get(key.clone()).unwrap(), Some(value.clone()));

    first.kill();
    let second = ServerProcess::start(dir.path(), &[]);
    let mut client = KvsClient::connect(second.addr).unwrap();
    assert_eq!(client.get(key).unwrap(), Some(value));
}

/// A data directory. It is removed when it is dropped, unless the test fails.
struct Dir(TempDir);

impl Dir {
    fn new() -> Dir {
        Dir(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for Dir {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the data is in {:?}", self.path());
            self.0.disable_cleanup(true);
        }
    }
}

/// Repeats rounds of writes, a kill and an audit, and each server has the next of these flags.
/// Returns the last server, which has passed its audit.
fn kill_again_and_again(flags: &[&str], workload: &Workload) -> (Dir, ServerProcess, Vec<Keys>) {
    let kills = number("KVS_KILLS", workload.kills);
    let dir = Dir::new();
    let mut flags = flags.iter().cycle();
    let mut start = || {
        let flags: Vec<_> = flags.next().unwrap().split(' ').collect();
        ServerProcess::start(dir.path(), &[&flags, workload.args].concat())
    };
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|client| Keys::new(client, workload.keys_per_client))
        .collect();
    let mut server = start();
    let (mut torn, mut in_compaction) = (0, 0);
    for round in 0..kills {
        println!("round {round}");
        let log = write_until_killed(&mut server, &mut clients, dir.path(), workload, round);
        assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
        torn += log.matches("cut short").count();
        in_compaction += usize::from(is_compacting(dir.path()));
        server = start();
        let mut client = KvsClient::connect(server.addr).unwrap();
        for keys in &mut clients {
            keys.audit(&mut client);
        }
    }
    let writes: u64 = clients.iter().map(|keys| keys.writes).sum();
    println!("{writes} acknowledged writes, {kills} kills: {in_compaction} during a compaction");
    println!("{torn} torn tails");
    (dir, server, clients)
}

/// Lets all clients write at once, kills the server meanwhile, and returns its log.
fn write_until_killed(
    server: &mut ServerProcess,
    clients: &mut [Keys],
    dir: &Path,
    workload: &Workload,
    round: u64,
) -> String {
    let mut rng = SmallRng::seed_from_u64(round);
    let (sender, acknowledgements) = mpsc::channel();
    thread::scope(|scope| {
        for keys in clients {
            let client = KvsClient::connect(server.addr).unwrap();
            let (rng, sender) = (SmallRng::from_rng(&mut rng), sender.clone());
            scope.spawn(move || keys.operate_until_killed(client, workload, rng, &sender));
        }
        drop(sender);
        let in_any_case = rng.random_range(workload.acknowledgements.clone());
        let mut acknowledgements = acknowledgements.iter().skip(in_any_case);
        let is_moment = acknowledgements.any(|()| (workload.is_moment)(dir));
        acknowledgements.take(rng.random_range(0..8)).count();
        let log = server.kill();
        assert!(is_moment, "the server ended by itself: {log}");
        log
    })
}

/// The keys that only one client writes.
struct Keys {
    known: BTreeMap<String, Known>,
    /// The number of acknowledged writes.
    writes: u64,
}

/// The state of a key, as its writer knows it.
#[derive(Default)]
struct Known {
    acknowledged: Option<String>,
    /// The value after a write without an answer, if there is one.
    unanswered: Option<Option<String>>,
}

impl Keys {
    fn new(client: u64, count: usize) -> Keys {
        let names = (0..count).map(|key| format!("key {key} of {client}"));
        Keys {
            known: names.map(|name| (name, Known::default())).collect(),
            writes: 0,
        }
    }

    fn operate_until_killed(
        &mut self,
        mut client: KvsClient,
        workload: &Workload,
        mut rng: SmallRng,
        acknowledgements: &Sender<()>,
    ) {
        loop {
            match self.operate(&mut client, workload, &mut rng) {
                // The receiver stops listening while the server is being killed.
                Ok(()) => drop(acknowledgements.send(())),
                Err(KvsError::Connection { .. }) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// Sets, removes or gets one of the keys.
    fn operate(
        &mut self,
        client: &mut KvsClient,
        workload: &Workload,
        rng: &mut SmallRng,
    ) -> Result<()> {
        let key = rng.random_range(0..self.known.len());
        let (key, known) = self.known.iter_mut().nth(key).unwrap();
        if rng.random_ratio(1, 8) {
            let got = client.get(key.clone())?;
            assert_is_one_of(key, &got, &[&known.acknowledged]);
            return Ok(());
        }
        let is_removal = known.acknowledged.is_some() && rng.random_ratio(1, 8);
        let value = (!is_removal).then(|| {
            let padding = "x".repeat((workload.value_len)(rng));
            format!("{key}, write {}: {padding}", self.writes)
        });
        known.unanswered = Some(value.clone());
        match value.clone() {
            Some(value) => client.set(key.clone(), value)?,
            None => client.remove(key.clone())?,
        }
        self.writes += 1;
        known.acknowledged = value;
        known.unanswered = None;
        Ok(())
    }

    /// Checks the values after a kill. Each value that a server has returned has to stay.
    fn audit(&mut self, client: &mut KvsClient) {
        for (key, known) in &mut self.known {
            let got = client.get(key.clone()).unwrap();
            let unanswered = known.unanswered.take();
            let mut possible = vec![&known.acknowledged];
            possible.extend(&unanswered);
            assert_is_one_of(key, &got, &possible);
            known.acknowledged = got;
        }
    }

    fn live_bytes(&self) -> usize {
        let values = self.known.values();
        values
            .filter_map(|known| Some(known.acknowledged.as_ref()?.len()))
            .sum()
    }
}

fn assert_is_one_of(key: &str, got: &Option<String>, possible: &[&Option<String>]) {
    // The padding is long, and the same everywhere.
    let short = |value: &Option<String>| value.as_ref().map(|value| format!("{value:.40}"));
    let possible_short: Vec<_> = possible.iter().map(|value| short(value)).collect();
    assert!(
        possible.contains(&got),
        "{key:?} is {:?} and should be one of {possible_short:?}",
        short(got)
    );
}
