//! Linearizability: whatever many clients do at once, what they see is what they would have seen
//! had the server done one request after the other, each at some moment while its client waited.
//!
//! Clients of all kinds fight for a few keys, with several requests under way on each connection.
//! Some futures are dropped in flight, some connections with all that is under way on them, and in
//! the middle the server is stopped and the store opened again. What they saw is then put in order.
//!
//! `KVS_HISTORIES` sets how many histories there are for each test, and `KVS_SEED` the first seed:
//! `KVS_HISTORIES=100 cargo test --all-features --test linearizable`. What the clients ask for
//! follows from the seed; how their requests meet is what no seed brings back.

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
/// For each client.
const REQUESTS: usize = 120;

/// Where clients meet, and what they have done there.
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

    /// A random request, which is recorded.
    fn request<C: Client>(&self, client: &mut C, rng: &mut SmallRng) -> Recorded<'_> {
        let key = rng.random_range(0..KEYS);
        let name = format!("key{key}");
        let (unanswered, answer): (_, Answer) = match rng.random_range(0..8) {
            0..4 => (None, Box::new(client.get(name).map(Effect::Got))),
            4..6 => {
                // No two are the same.
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

/// A request that goes into the history, however it ends.
struct Recorded<'a> {
    arena: &'a Arena,
    key: usize,
    answer: Answer,
    /// What it may have done where nobody hears of it.
    unanswered: Option<Effect>,
    began: Option<u64>,
    /// Whether it is given up as soon as it is on its way.
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

/// One connection after the other.
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
        // Whatever is under way after the last answer is dropped, and the connection with it.
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

/// Lets all the clients loose on one engine, which is opened twice.
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

/// Plays histories with stores in directories that are new each time.
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

/// A store whose log is compacted all the time.
fn open_kvs<P: ThreadPool + Sync>(path: &Path, level: SyncLevel) -> KvStore<P> {
    let options = KvStore::<P>::options().sync(level);
    let options = options.segment_bytes(4096).dead_bytes(4096);
    options.open(path, 4).unwrap()
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
    is_linearizable(|path| {
        let options = KvStoreOptions::default();
        let options = options.segment_bytes(4096).dead_bytes(4096);
        TokioFsEngine::open_with(&options, path, 4).unwrap()
    });
}

#[test]
fn sled_is_linearizable() {
    is_linearizable(|path| {
        SledKvsEngine::<SharedQueueThreadPool>::open(path, SyncLevel::EverySec, 4).unwrap()
    });
}
