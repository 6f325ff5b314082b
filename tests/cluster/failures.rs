//! Nodes and servers that fail.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use kvs::client::blocking::KvsClient;
use kvs::engine::{ClusterEngine, ClusterOptions, SyncLevel};
use kvs::protocol::ErrorCode;
use kvs::{KvsEngine, KvsError};
use parking_lot::Mutex;

use super::common::ServerProcess;
use super::nodes::{Cluster, MASTERS};
use super::order::SetOnDrop;
use super::{get, open, set};

/// The writers of a test, each with its own key. They count up, and know the values that they
/// may find.
struct Writers {
    keys: Vec<String>,
    acknowledged: Vec<AtomicU64>,
    unknown: AtomicU64,
    is_over: AtomicBool,
}

impl Writers {
    fn new() -> Writers {
        let keys: Vec<_> = (0..24).map(|n| format!("writer{n}")).collect();
        Writers {
            acknowledged: keys.iter().map(|_| AtomicU64::new(0)).collect(),
            keys,
            unknown: AtomicU64::new(0),
            is_over: AtomicBool::new(false),
        }
    }

    /// Writes 1, 2, 3 … to the key until the test is over. Checks that it has the last number that
    /// was acknowledged, or one whose outcome is unknown.
    fn run(&self, store: &ClusterEngine, n: usize) {
        let mut may_be = HashSet::from([0]);
        let mut last = 0;
        while !self.is_over.load(Ordering::Relaxed) {
            last += 1;
            match set(store, &self.keys[n], &last.to_string()) {
                Ok(()) => {
                    may_be = HashSet::from([last]);
                    self.acknowledged[n].fetch_add(1, Ordering::SeqCst);
                }
                Err(KvsError::OutcomeUnknown { .. }) => {
                    may_be.insert(last);
                    self.unknown.fetch_add(1, Ordering::SeqCst);
                }
                Err(KvsError::Cluster { .. }) => {}
                Err(error) => panic!("{error}"),
            }
            if last % 4 == 0
                && let Ok(value) = get(store, &self.keys[n])
            {
                let found = value.map_or(0, |value| value.parse().unwrap());
                assert!(
                    may_be.contains(&found),
                    "{} is {found}, not {may_be:?}",
                    self.keys[n]
                );
                // A write that was found is one that has happened, and no earlier one may follow.
                may_be.retain(|n| *n >= found);
            }
        }
        let value = get(store, &self.keys[n]).unwrap();
        let found = value.map_or(0, |value| value.parse().unwrap());
        assert!(
            may_be.contains(&found),
            "{} is {found}, not {may_be:?}",
            self.keys[n]
        );
    }

    fn count(&self) -> Vec<u64> {
        self.acknowledged
            .iter()
            .map(|n| n.load(Ordering::SeqCst))
            .collect()
    }

    /// Waits until each of the writers has been acknowledged `more` times more.
    fn wait_for(&self, more: u64) {
        let before = self.count();
        let has_more = |(now, before): (u64, &u64)| now >= before + more;
        while !self.count().into_iter().zip(&before).all(has_more) {
            thread::sleep(Duration::from_millis(5));
        }
    }

    /// Runs the writers while `disturb` runs, and checks the values that they find.
    fn during(&self, store: &ClusterEngine, disturb: impl FnOnce(&Writers)) {
        thread::scope(|scope| {
            for n in 0..self.keys.len() {
                scope.spawn(move || self.run(store, n));
            }
            let _end = SetOnDrop(&self.is_over);
            self.wait_for(50);
            disturb(self);
            self.wait_for(50);
        });
    }
}

pub fn of_a_master() {
    let mut cluster = Cluster::start();
    let store = open(&cluster, SyncLevel::Always);
    let writers = Writers::new();
    writers.during(&store, |writers| {
        cluster.kill(0);
        // With one copy left, this master cannot promise two. So the writers of the others go on,
        // and those of this one do when the node is back as a replica.
        let before: u64 = writers.count().iter().sum();
        while writers.count().iter().sum::<u64>() < before + 200 {
            thread::sleep(Duration::from_millis(5));
        }
        while !cluster.is_master(MASTERS) {
            thread::sleep(Duration::from_millis(20));
        }
        cluster.start_again(0);
        cluster.wait_until_sound();
    });
    let knows_it = |store: &ClusterEngine| {
        let masters = store.stats().cluster.unwrap().masters;
        masters.contains(&cluster.addr(MASTERS))
    };
    // A redirection makes the engine ask for the masters.
    while !knows_it(&store) {
        writers
            .keys
            .iter()
            .for_each(|key| drop(get(&store, key).unwrap()));
    }
}

pub fn frozen() {
    let cluster = Cluster::start();
    let store = open(&cluster, SyncLevel::Always);
    let writers = Writers::new();
    writers.during(&store, |_| {
        cluster.signal(1, "STOP");
        while !cluster.is_master(1 + MASTERS) {
            thread::sleep(Duration::from_millis(20));
        }
        cluster.signal(1, "CONT");
        cluster.wait_until_sound();
    });
}

pub fn of_all_nodes() {
    let mut cluster = Cluster::start();
    let limit = Duration::from_secs(2);
    let store = ClusterOptions::new(cluster.addrs())
        .time(limit)
        .open()
        .unwrap();
    set(&store, "key", "value").unwrap();
    (0..2 * MASTERS).for_each(|n| cluster.kill(n));
    let gone = get(&store, "key").unwrap_err();
    assert!(matches!(gone, KvsError::Cluster { .. }), "{gone}");
    assert!(gone.to_string().contains("127.0.0.1"), "which node: {gone}");
    (0..2 * MASTERS).for_each(|n| cluster.start_again(n));
    cluster.wait_until_sound();
    set(&store, "key", "again").unwrap();
    assert_eq!(get(&store, "key").unwrap().as_deref(), Some("again"));
}

pub fn nobody_there() {
    let limit = Duration::from_millis(200);
    let nobody = ClusterOptions::new(["127.0.0.1:1"]).time(limit).open();
    let error = nobody.err().unwrap().to_string();
    assert!(error.contains("127.0.0.1:1"), "{error}");
    for wrong in ["localhost", "127.0.0.1:", ":7000", "127.0.0.1:70000"] {
        let error = ClusterOptions::new([wrong]).open().err().unwrap();
        assert!(error.to_string().contains(wrong), "{error}");
    }
}

pub fn node_that_drops_keys() {
    let cluster = Cluster::start();
    cluster.tell(2, "CONFIG SET maxmemory 100mb");
    open(&cluster, SyncLevel::EverySec);
    cluster.tell(2, "CONFIG SET maxmemory-policy allkeys-lru");
    let refused = ClusterOptions::new(cluster.addrs()).open();
    let error = refused.err().unwrap().to_string();
    assert!(
        error.contains(&cluster.addr(2)) && error.contains("noeviction"),
        "{error}"
    );
    // A node that is full and drops nothing refuses writes.
    cluster.tell(2, "CONFIG SET maxmemory-policy noeviction");
    let store = open(&cluster, SyncLevel::EverySec);
    cluster.tell(2, "CONFIG SET maxmemory 1");
    let results = (0..100).map(|n| set(&store, &n.to_string(), "value"));
    let full: Vec<_> = results.filter_map(kvs::Result::err).collect();
    let is_full = |error: &KvsError| matches!(error, KvsError::StorageFull { .. });
    assert!(!full.is_empty() && full.iter().all(is_full), "{full:?}");
}

fn start_server(cluster: &Cluster) -> ServerProcess {
    let nodes = cluster.addrs().join(",");
    ServerProcess::start_without_dir(&["--engine", "cluster", "--cluster", &nodes])
}

/// Clients write until the server dies, and find the acknowledged values at the next one.
pub fn of_the_server() {
    const CLIENTS: usize = 8;
    let cluster = Cluster::start();
    let acknowledged: [Mutex<u64>; CLIENTS] = Default::default();
    for _ in 0..3 {
        let mut server = start_server(&cluster);
        let done = AtomicU64::new(0);
        thread::scope(|scope| {
            for (n, acknowledged) in acknowledged.iter().enumerate() {
                let (addr, done) = (server.addr, &done);
                scope.spawn(move || write_until_it_dies(addr, n, acknowledged, done));
            }
            while done.load(Ordering::SeqCst) < 2000 {
                thread::sleep(Duration::from_millis(1));
            }
            server.kill();
        });
    }
    let mut server = start_server(&cluster);
    let mut client = KvsClient::connect(server.addr).unwrap();
    let masters = client.stats().unwrap().engine.cluster.unwrap().masters;
    assert_eq!(masters.len(), MASTERS);
    let missing = client.remove("missing".to_owned()).unwrap_err();
    assert!(matches!(missing, KvsError::KeyNotFound), "{missing}");
    // With a connection to each node, a write is sent to the one that hangs.
    let mut write = || (0..100).find_map(|n| client.set(format!("key{n}"), String::new()).err());
    assert!(write().is_none());
    cluster.signal(0, "STOP");
    let hung = write();
    cluster.signal(0, "CONT");
    let Some(KvsError::Server { code, .. }) = hung else {
        panic!("{hung:?}");
    };
    assert_eq!(code, ErrorCode::OutcomeUnknown);
    server.kill();
}

fn write_until_it_dies(addr: SocketAddr, n: usize, acknowledged: &Mutex<u64>, done: &AtomicU64) {
    let mut client = KvsClient::connect(addr).unwrap();
    let key = format!("client{n}");
    let found = client.get(key.clone()).unwrap();
    let found = found.map_or(0, |value| value.parse().unwrap());
    let mut last = *acknowledged.lock();
    // The write whose reply was lost may have been done.
    assert!(
        (last..=last + 1).contains(&found),
        "{key} is {found}, not {last}"
    );
    last = found;
    while client.set(key.clone(), (last + 1).to_string()).is_ok() {
        last += 1;
        *acknowledged.lock() = last;
        done.fetch_add(1, Ordering::SeqCst);
    }
    *acknowledged.lock() = last;
}
