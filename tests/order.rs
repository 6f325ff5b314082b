//! Order on one connection. A client sends thousands of requests without waiting, and the replies
//! are those of a map that executes one request after the other.
//!
//! `KVS_HISTORIES` sets the number of runs of each test, and `KVS_SEED` the first seed. The test
//! prints the seed, so a failed run can be repeated.

mod common;

use std::collections::BTreeMap;
use std::io::Write;
use std::net::{Shutdown, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::thread;

use common::{TestServer, Wire, frame, number};
use kvs::engine::{EngineFuture, KvStoreOptions, SyncLevel};
use kvs::protocol::{ErrorCode, Page, Request, Response, Scan};
use kvs::server::Limits;
use kvs::thread_pool::{NaiveThreadPool, RayonThreadPool, SharedQueueThreadPool, ThreadPool};
use kvs::{KvStore, KvsEngine, KvsError, KvsServer, SledKvsEngine, TokioFsEngine};
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

const CONNECTIONS: u64 = 2;
const REQUESTS: usize = 2000;

/// Returns the bytes that a client sends, and the replies that it should get. No other client uses
/// its keys.
fn conversation(client: u64, rng: &mut SmallRng) -> (Vec<u8>, Vec<Response>) {
    let mut map = BTreeMap::new();
    let (mut bytes, mut replies) = (Vec::new(), Vec::new());
    let mut writes = 0.5;
    for n in 0..REQUESTS {
        if rng.random_ratio(1, 50) {
            // With many writes in a row, many are pending together. With few, reads come between
            // them.
            writes = [0.1, 0.5, 0.97][rng.random_range(0..3)];
        }
        if rng.random_ratio(1, 100) {
            bytes.extend(frame("{"));
            replies.push(error(ErrorCode::BadRequest));
        }
        let key = format!("{client}/{}", rng.random_range(0..4));
        let (request, reply) = if rng.random_ratio(1, 30) {
            let scan = Scan {
                limit: rng.random_range(1..6),
                keys_only: rng.random(),
                ..Scan::prefix(format!("{client}/"))
            };
            let all = Response::Scan(Box::new(page(&map, &scan)));
            (Request::Scan(scan), all)
        } else if !rng.random_bool(writes) {
            let value = map.get(&key).cloned();
            (Request::Get { key }, Response::Get(value))
        } else if rng.random_bool(0.3) {
            let reply = match map.remove(&key) {
                Some(_) => Response::Remove,
                None => error(ErrorCode::KeyNotFound),
            };
            (Request::Remove { key }, reply)
        } else {
            // Long values fill the buffers of the system.
            let longest = [200, 100_000][usize::from(rng.random_ratio(1, 200))];
            let value = format!("{n}{}", "x".repeat(rng.random_range(0..longest)));
            map.insert(key.clone(), value.clone());
            (Request::Set { key, value }, Response::Set)
        };
        bytes.extend(frame(serde_json::to_vec(&request).unwrap()));
        replies.push(reply);
    }
    (bytes, replies)
}

/// Returns all pairs that a scan finds, as one page.
fn page(map: &BTreeMap<String, String>, scan: &Scan) -> Page {
    let value = |value: &String| (!scan.keys_only).then(|| value.clone());
    let pairs = map.iter().filter(|(key, _)| key.starts_with(&scan.prefix));
    Page {
        pairs: pairs.map(|(key, it)| (key.clone(), value(it))).collect(),
        cursor: None,
    }
}

/// Checks a reply. The page of a scan may have a part of the pairs, in any order, and a cursor.
fn check(reply: Response, expected: Response, request: &str) {
    let (page, all) = match (reply, expected) {
        (Response::Scan(page), Response::Scan(all)) => (page, all.pairs),
        (reply, expected) => return assert_eq!(reply, expected, "{request}"),
    };
    let all: BTreeMap<_, _> = all.into_iter().collect();
    let (len, is_whole) = (page.pairs.len(), page.cursor.is_none());
    let pairs: BTreeMap<_, _> = page.pairs.into_iter().collect();
    assert_eq!(pairs.len(), len, "{request}: a key is there twice");
    for (key, value) in &pairs {
        assert_eq!(all.get(key), Some(value), "{request}: {key}");
    }
    assert!(
        pairs.len() == all.len() || !is_whole,
        "{request}: {pairs:?}"
    );
}

/// Returns an error without its message, because only the code is compared.
fn error(code: ErrorCode) -> Response {
    Response::Err {
        code,
        message: String::new(),
    }
}

fn converse(addr: SocketAddr, client: u64, mut rng: SmallRng) {
    let (bytes, replies) = conversation(client, &mut rng);
    let mut wire = Wire::connect(addr);
    let mut writer = wire.0.try_clone().unwrap();
    let writer = thread::spawn(move || {
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            // The client cuts frames anywhere.
            let longest = [100, 100_000][rng.random_range(0..2)];
            let len = rng.random_range(1..=longest).min(rest.len());
            writer.write_all(&rest[..len]).unwrap();
            rest = &rest[len..];
        }
        writer.shutdown(Shutdown::Write).unwrap();
    });
    for (n, expected) in replies.into_iter().enumerate() {
        let mut reply = serde_json::from_str(&wire.receive()).unwrap();
        if let Response::Err { message, .. } = &mut reply {
            message.clear();
        }
        check(reply, expected, &format!("request {n} of client {client}"));
    }
    wire.expect_end();
    writer.join().unwrap();
}

fn keeps_order<E: KvsEngine + Sync>(in_flight: usize, open: impl Fn(&Path) -> E) {
    let first = number("KVS_SEED", 1);
    for seed in first..first + number("KVS_HISTORIES", 1) {
        println!("KVS_SEED={seed}, {in_flight} in flight");
        let dir = tempfile::tempdir().unwrap();
        let mut limits = Limits::default();
        limits.in_flight = in_flight;
        limits.threads = 2;
        let server = KvsServer::new(open(dir.path())).limits(limits);
        let server = TestServer::serve(server);
        thread::scope(|scope| {
            for client in 0..CONNECTIONS {
                let rng = SmallRng::seed_from_u64(seed ^ client << 32);
                let addr = server.addr;
                scope.spawn(move || converse(addr, client, rng));
            }
        });
    }
}

/// Opens a store with small segments, so that it compacts during the requests.
fn open_kvs<P: ThreadPool>(path: &Path, level: SyncLevel) -> KvStore<P> {
    let options = KvStore::<P>::options().sync(level);
    let options = options.segment_bytes(1 << 16).dead_bytes(1 << 16);
    options.open(path, 4).unwrap()
}

fn open_tokio_fs(path: &Path) -> TokioFsEngine {
    let options = KvStoreOptions::default();
    let options = options.segment_bytes(1 << 16).dead_bytes(1 << 16);
    TokioFsEngine::open_with(&options, path, 4).unwrap()
}

fn open_sled<P: ThreadPool>(path: &Path) -> SledKvsEngine<P> {
    SledKvsEngine::open(path, SyncLevel::EverySec, 4).unwrap()
}

fn engines_keep_order_on<P: ThreadPool + Sync>() {
    let many = Limits::default().in_flight;
    keeps_order(many, |path| open_kvs::<P>(path, SyncLevel::Always));
    keeps_order(many, |path| open_kvs::<P>(path, SyncLevel::EverySec));
    keeps_order(many, open_sled::<P>);
}

#[test]
fn engines_keep_order_on_a_shared_queue() {
    engines_keep_order_on::<SharedQueueThreadPool>();
}

#[test]
fn engines_keep_order_on_rayon() {
    engines_keep_order_on::<RayonThreadPool>();
}

#[test]
fn engines_keep_order_with_a_thread_for_each_job() {
    engines_keep_order_on::<NaiveThreadPool>();
}

#[test]
fn the_engine_on_tokio_fs_keeps_order() {
    for in_flight in [1, 2, Limits::default().in_flight] {
        keeps_order(in_flight, open_tokio_fs);
    }
}

#[test]
fn order_is_kept_however_few_requests_may_be_in_flight() {
    for few in [1, 2] {
        keeps_order(few, |path| {
            open_kvs::<RayonThreadPool>(path, SyncLevel::EverySec)
        });
        keeps_order(few, open_sled::<RayonThreadPool>);
    }
}

/// An engine that does not keep order, because its reads are jobs on a pool.
#[derive(Clone)]
struct LateReads {
    map: Arc<Mutex<BTreeMap<String, String>>>,
    pool: SharedQueueThreadPool,
}

impl KvsEngine for LateReads {
    fn get(&self, key: String) -> EngineFuture<Option<String>> {
        let map = Arc::clone(&self.map);
        EngineFuture::spawn(&self.pool, move || Ok(map.lock().get(&key).cloned()))
    }

    fn set(&self, key: String, value: String) -> EngineFuture<()> {
        self.map.lock().insert(key, value);
        EngineFuture::done(Ok(()))
    }

    fn remove(&self, key: String) -> EngineFuture<()> {
        let removed = self.map.lock().remove(&key);
        EngineFuture::done(removed.map(drop).ok_or(KvsError::KeyNotFound))
    }

    fn scan(&self, scan: Scan) -> EngineFuture<Page> {
        let map = Arc::clone(&self.map);
        EngineFuture::spawn(&self.pool, move || Ok(page(&map.lock(), &scan)))
    }
}

#[test]
fn requests_wait_for_each_other_if_the_engine_keeps_no_order() {
    keeps_order(Limits::default().in_flight, |_| LateReads {
        map: Arc::default(),
        pool: SharedQueueThreadPool::new(1).unwrap(),
    });
}
