//! The order of requests, while slots move from node to node.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use futures::Future;
use kvs::engine::{ClusterEngine, EngineFuture, SyncLevel};
use kvs::{KvsEngine, KvsError};
use parking_lot::Mutex;
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

use super::common::linear::{Effect, Operation, linearize};
use super::nodes::{Cluster, MASTERS};
use super::{get, open, set};

/// Tells the other threads that the test is over, also after a panic.
pub struct SetOnDrop<'a>(pub &'a AtomicBool);

impl Drop for SetOnDrop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Moves the slot of the keys `{a}…` back and forth while `work` runs in some threads, which end
/// when they find the flag set.
fn while_a_slot_moves(cluster: &Cluster, threads: u64, work: impl Fn(u64, &AtomicBool) + Sync) {
    let is_over = AtomicBool::new(false);
    let slot: u16 = cluster.ask(0, "CLUSTER KEYSLOT {a}");
    let has_slot = |n: &usize| {
        let first = 16_384 * n / MASTERS;
        (first..16_384 * (n + 1) / MASTERS).contains(&usize::from(slot))
    };
    let mut from = (0..MASTERS).find(has_slot).unwrap();
    let mut to = (from + 1) % MASTERS;
    thread::scope(|scope| {
        for n in 0..threads {
            let (work, is_over) = (&work, &is_over);
            scope.spawn(move || work(n, is_over));
        }
        let _end = SetOnDrop(&is_over);
        for _ in 0..10 {
            cluster.move_slot(slot, from, to);
            (from, to) = (to, from);
        }
    });
}

/// A request under way, and the answer that it should get.
enum Pending {
    Get(EngineFuture<Option<String>>, Option<String>),
    Set(EngineFuture<()>),
    Remove(EngineFuture<()>, bool),
}

impl Pending {
    /// Sends a random request, and notes its effect in `map`.
    fn send(
        store: &ClusterEngine,
        prefix: &str,
        map: &mut BTreeMap<String, String>,
        rng: &mut SmallRng,
    ) -> Pending {
        let key = format!("{prefix}{}", rng.random_range(0..8));
        match rng.random_range(0..3) {
            0 => {
                let value = rng.random::<u64>().to_string();
                map.insert(key.clone(), value.clone());
                Pending::Set(store.set(key, value))
            }
            1 => {
                let was_there = map.remove(&key).is_some();
                Pending::Remove(store.remove(key), was_there)
            }
            _ => {
                let expected = map.get(&key).cloned();
                Pending::Get(store.get(key), expected)
            }
        }
    }

    fn check(self) {
        match self {
            Pending::Get(value, expected) => assert_eq!(value.wait().unwrap(), expected),
            Pending::Set(done) => done.wait().unwrap(),
            Pending::Remove(done, was_there) => match done.wait() {
                Ok(()) => assert!(was_there),
                Err(KvsError::KeyNotFound) => assert!(!was_there),
                Err(error) => panic!("{error}"),
            },
        }
    }
}

/// Each caller has hundreds of requests under way for a few keys of the slot that moves.
pub fn keeps_order() {
    let cluster = Cluster::start();
    let store = open(&cluster, SyncLevel::EverySec);
    while_a_slot_moves(&cluster, 4, |n, is_over| {
        let (mut rng, mut map) = (SmallRng::seed_from_u64(n), BTreeMap::new());
        let prefix = format!("{{a}}{n}/");
        while !is_over.load(Ordering::Relaxed) {
            let send = |_| Pending::send(&store, &prefix, &mut map, &mut rng);
            let sent: Vec<_> = (0..200).map(send).collect();
            sent.into_iter().for_each(Pending::check);
        }
    });
    assert!(
        store.stats().cluster.unwrap().redirections > 0,
        "no slot has moved"
    );
}

/// Two engines, as in two processes, and callers that use the same few keys.
pub fn is_linearizable() {
    const KEYS: usize = 4;
    let cluster = Cluster::start();
    let stores = [SyncLevel::EverySec, SyncLevel::Always].map(|sync| open(&cluster, sync));
    let (clock, values) = (AtomicU64::new(0), AtomicU64::new(0));
    let now = || clock.fetch_add(1, Ordering::SeqCst);
    let histories: [Mutex<Vec<Operation>>; KEYS] = Default::default();
    while_a_slot_moves(&cluster, 8, |n, is_over| {
        let mut rng = SmallRng::seed_from_u64(n);
        let store = &stores[n as usize % 2];
        while !is_over.load(Ordering::Relaxed) {
            let key = rng.random_range(0..KEYS);
            let name = format!("{{a}}{key}");
            let began = now();
            let effect = match rng.random_range(0..4) {
                0 | 1 => Effect::Got(get(store, &name).unwrap()),
                2 => {
                    let value = values.fetch_add(1, Ordering::SeqCst).to_string();
                    set(store, &name, &value).unwrap();
                    Effect::Set(value)
                }
                _ => match store.remove(name).wait() {
                    Err(KvsError::KeyNotFound) => Effect::NotFound,
                    removed => removed.map(|()| Effect::Removed).unwrap(),
                },
            };
            let ended = now();
            histories[key].lock().push(Operation {
                effect,
                began,
                ended,
            });
        }
    });
    for history in histories.map(Mutex::into_inner) {
        assert!(history.len() > 100, "only {} requests", history.len());
        linearize(&history).unwrap();
    }
}
