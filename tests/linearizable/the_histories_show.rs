//! Tests of the histories: they expose an engine with a mistake.

use std::collections::BTreeMap;
use std::sync::Arc;

use kvs::engine::EngineFuture;
use kvs::{KvsEngine, KvsError, Result};
use parking_lot::Mutex;

use super::{check, play};
use crate::harness::catches;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    StaleRead,
    LostWrite,
    BlindRemoval,
}

/// A map that makes a mistake in every fourth request.
#[derive(Clone)]
struct Broken {
    mistake: Mistake,
    shelf: Arc<Mutex<Shelf>>,
}

#[derive(Default)]
struct Shelf {
    /// All states of each key.
    states: BTreeMap<String, Vec<Option<String>>>,
    requests: u32,
}

impl Broken {
    fn work<T>(
        &self,
        key: String,
        work: impl FnOnce(&mut Vec<Option<String>>, Mistake) -> Result<T>,
    ) -> EngineFuture<T> {
        let shelf = &mut *self.shelf.lock();
        shelf.requests += 1;
        let mistake = if shelf.requests.is_multiple_of(4) {
            self.mistake
        } else {
            Mistake::None
        };
        let states = shelf.states.entry(key).or_insert_with(|| vec![None]);
        EngineFuture::done(work(states, mistake))
    }
}

impl KvsEngine for Broken {
    fn get(&self, key: String) -> EngineFuture<Option<String>> {
        self.work(key, |states, mistake| {
            let age = if mistake == Mistake::StaleRead { 2 } else { 1 };
            Ok(states[states.len().saturating_sub(age)].clone())
        })
    }

    fn set(&self, key: String, value: String) -> EngineFuture<()> {
        self.work(key, |states, mistake| {
            if mistake != Mistake::LostWrite {
                states.push(Some(value));
            }
            Ok(())
        })
    }

    fn remove(&self, key: String) -> EngineFuture<()> {
        self.work(key, |states, mistake| match states.last() {
            Some(None) if mistake != Mistake::BlindRemoval => Err(KvsError::KeyNotFound),
            _ => {
                states.push(None);
                Ok(())
            }
        })
    }
}

fn play_with(mistake: Mistake) {
    for seed in 1..4 {
        let engine = Broken {
            mistake,
            shelf: Arc::default(),
        };
        check(seed, &play(seed, || engine.clone()));
    }
}

#[test]
fn a_stale_read() {
    catches("there is no way on", || play_with(Mistake::StaleRead));
}

#[test]
fn a_lost_write() {
    catches("there is no way on", || play_with(Mistake::LostWrite));
}

#[test]
fn a_removal_of_nothing() {
    catches("there is no way on", || play_with(Mistake::BlindRemoval));
}

#[test]
fn nothing_without_a_mistake() {
    play_with(Mistake::None);
}
