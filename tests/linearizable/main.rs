//! Linearizability: however the requests of many clients overlap, the replies are those of a server
//! that executes one request after the other, each at some moment while its client waits.
//!
//! Clients of all kinds use the same few keys, with several pending requests on each connection.
//! Some futures are dropped while they are pending, some connections with all their requests, and
//! half-way the server stops and the store is opened again. Then the checker looks for an order of
//! all requests.
//!
//! `KVS_HISTORIES` sets the number of histories for each test, and `KVS_SEED` the first seed:
//! `KVS_HISTORIES=100 cargo test --all-features --test linearizable`. The seed decides the requests
//! of the clients, but not how they overlap.

#[path = "../common/mod.rs"]
mod common;
#[path = "../harness/mod.rs"]
mod harness;
mod the_checker;
mod the_histories_show;

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;

use common::linear::{Effect, NEVER, Operation, linearize};
use common::{TestServer, number};
use futures::{Async, Future, Poll, Stream, stream};
use harness::blocking::Blocking;
use harness::{Client, wait};
use kvs::engine::{KvStoreOptions, SyncLevel};
use kvs::thread_pool::{NaiveThreadPool, RayonThreadPool, SharedQueueThreadPool, ThreadPool};
use kvs::{KvStore, KvsEngine, KvsError, SledKvsEngine, TokioFsEngine};
use parking_lot::{Mutex, RwLock};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

const KEYS: usize = 6;
const CLIENTS: usize = 10;
/// The number of requests of each client.
const REQUESTS: usize = 120;

/// The server that all clients use, and the history of their requests.
struct Arena {
    server: RwLock<TestServer>,
    clock: AtomicU64,
    values: AtomicU64,
    history: [Mutex<Vec<Operation>>; KEYS],
}

impl Arena {
    fn now(&self) -> u64 {
        self.clock.fetch_add(1, Ordering::SeqCst)
    }

    /// Returns a random request, which records itself in the history.
    fn request<C: Client>(&self, client: &mut C, rng: &mut SmallRng) -> Recorded<'_> {
        let key = rng.random_range(0..KEYS);
        let name = format!("key{key}");
        let (unanswered, answer): (_, Answer) = match rng.random_range(0..8) {
            0..4 => (None, Box::new(client.get(name).map(Effect::Got))),
            4..6 => {
                // Every value is different.
                let n = self.values.fetch_add(1, Ordering::Relaxed);
                let value = format!("{n:.<len$}", len = rng.random_range(0..100));
                let effect = Effect::Set(value.clone());
                let done = effect.clone();
                let answer = client.set(name, value).map(|()| done);
                (Some(effect), Box::new(answer))
            }
            _ => {
                let answer = client.remove(name).then(|removed| match removed {
                    Err(KvsError::KeyNotFound) => Ok(Effect::NotFound),
                    removed => removed.map(|()| Effect::Removed),
                });
                (Some(Effect::Removed), Box::new(answer))
            }
        };
        Recorded {
            arena: self,
            key,
            answer,
            unanswered,
            began: None,
            is_impatient: rng.random_ratio(1, 32),
        }
    }
}

type Answer = Box<dyn Future<Item = Effect, Error = KvsError>>;

/// A request that enters the history, even if it gets no answer.
struct Recorded<'a> {
    arena: &'a Arena,
    key: usize,
    answer: Answer,
    /// The effect that it may have had if it gets no answer.
    unanswered: Option<Effect>,
    began: Option<u64>,
    /// Whether it is dropped as soon as it is pending.
    is_impatient: bool,
}

impl Recorded<'_> {
    fn record(&mut self, effect: Effect, ended: u64) {
        if let Some(began) = self.began.take() {
            self.arena.history[self.key].lock().push(Operation {
                effect,
                began,
                ended,
            });
        }
    }
}

impl Future for Recorded<'_> {
    type Item = ();
    type Error = KvsError;

    fn poll(&mut self) -> Poll<(), KvsError> {
        self.began.get_or_insert_with(|| self.arena.now());
        match self.answer.poll()? {
            Async::Ready(effect) => {
                let ended = self.arena.now();
                self.record(effect, ended);
            }
            Async::NotReady if self.is_impatient => {}
            Async::NotReady => return Ok(Async::NotReady),
        }
        Ok(Async::Ready(()))
    }
}

impl Drop for Recorded<'_> {
    fn drop(&mut self) {
        if let Some(effect) = self.unanswered.take() {
            self.record(effect, NEVER);
        }
    }
}

/// Sends the requests of a client, on one connection after the other.
fn work<C: Client>(arena: &Arena, rng: &mut SmallRng, progress: &Sender<()>) {
    let mut left = REQUESTS;
    let mut was_stopped = false;
    while left > 0 {
        let mut client: C = harness::connect(arena.server.read().addr);
        let count = rng.random_range(1..=left.min(40));
        left -= count;
        let requests = (0..count).map(|_| arena.request(&mut client, rng));
        let requests: Vec<_> = requests.collect();
        drop(client);
        // The requests that are still pending after the last answer are dropped, together with the
        // connection.
        let answers = count.saturating_sub(rng.random_range(0..4));
        let answered = stream::iter_ok(requests)
            .buffer_unordered(rng.random_range(1..4))
            .take(answers as u64)
            .for_each(|()| {
                let _ = progress.send(());
                Ok(())
            });
        match wait(answered) {
            Ok(()) => {}
            Err(KvsError::Connection { .. }) if !was_stopped => was_stopped = true,
            Err(error) => panic!("{error}"),
        }
    }
}

type Work = fn(&Arena, &mut SmallRng, &Sender<()>);

const KINDS: &[Work] = &[
    work::<Blocking>,
    #[cfg(feature = "anon")]
    work::<kvs::client::anon::KvsClient>,
    #[cfg(feature = "boxed")]
    work::<kvs::client::boxed::KvsClient>,
    #[cfg(feature = "explicit")]
    work::<kvs::client::explicit::KvsClient>,
    #[cfg(feature = "manual")]
    work::<kvs::client::manual::KvsClient>,
];

/// Runs all clients on one engine, which is closed and opened again half-way. Returns the history
/// of each key.
fn play<E: KvsEngine + Sync>(seed: u64, open: impl Fn() -> E) -> Vec<Vec<Operation>> {
    let arena = Arena {
        server: RwLock::new(TestServer::start(open())),
        clock: AtomicU64::default(),
        values: AtomicU64::default(),
        history: Default::default(),
    };
    thread::scope(|scope| {
        let (progress, answers) = mpsc::channel();
        for (n, work) in KINDS.iter().cycle().take(CLIENTS).enumerate() {
            let mut rng = SmallRng::seed_from_u64(seed ^ (n as u64) << 32);
            let (arena, progress) = (&arena, progress.clone());
            scope.spawn(move || work(arena, &mut rng, &progress));
        }
        drop(progress);
        answers.iter().take(CLIENTS * REQUESTS / 2).for_each(drop);
        let mut server = arena.server.write();
        server.stop();
        *server = TestServer::start(open());
    });
    arena.history.into_iter().map(Mutex::into_inner).collect()
}

/// Plays histories, each with a store in a new directory.
fn is_linearizable<E: KvsEngine + Sync>(open: impl Fn(&Path) -> E) {
    let first = number("KVS_SEED", 1);
    for seed in first..first + number("KVS_HISTORIES", 3) {
        let dir = tempfile::tempdir().unwrap();
        check(seed, &play(seed, || open(dir.path())));
    }
}

fn check(seed: u64, histories: &[Vec<Operation>]) {
    for history in histories {
        if let Err(why) = linearize(history) {
            panic!("KVS_SEED={seed}: {why}");
        }
    }
}

/// Returns the options of a store that compacts its log all the time.
fn options() -> KvStoreOptions {
    let options = KvStoreOptions::default();
    options.segment_bytes(4096).dead_bytes(4096)
}

fn open_kvs<P: ThreadPool + Sync>(path: &Path, level: SyncLevel) -> KvStore<P> {
    options().sync(level).open(path, 4).unwrap()
}

#[test]
fn kvs_is_linearizable_on_a_shared_queue() {
    is_linearizable(|path| open_kvs::<SharedQueueThreadPool>(path, SyncLevel::EverySec));
}

#[test]
fn kvs_is_linearizable_on_rayon() {
    is_linearizable(|path| open_kvs::<RayonThreadPool>(path, SyncLevel::Never));
}

#[test]
fn kvs_is_linearizable_with_a_thread_for_each_job() {
    is_linearizable(|path| open_kvs::<NaiveThreadPool>(path, SyncLevel::EverySec));
}

#[test]
fn kvs_is_linearizable_with_sync_always() {
    is_linearizable(|path| open_kvs::<SharedQueueThreadPool>(path, SyncLevel::Always));
}

#[test]
fn kvs_is_linearizable_on_tokio_fs() {
    is_linearizable(|path| TokioFsEngine::open_with(&options(), path, 4).unwrap());
}

#[test]
fn sled_is_linearizable() {
    is_linearizable(|path| {
        SledKvsEngine::<SharedQueueThreadPool>::open(path, SyncLevel::EverySec, 4).unwrap()
    });
}
