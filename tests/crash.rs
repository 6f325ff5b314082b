//! Crashes: random histories on a disk in memory, stopped at every single change and sync. Each
//! crash loses and tears other bytes that were not synced.
//!
//! `KVS_HISTORIES` sets the number of histories for each test, and `KVS_SEED` the first seed:
//! `KVS_HISTORIES=1 KVS_SEED=17 cargo test --test crash` plays history 17 alone.

mod common;

use std::collections::BTreeMap;
use std::mem;
use std::thread;

use common::disk::{Disk, Faults};
use common::later::{Later, done, get, run_job, run_jobs, set};
use common::{number, pages};
use kvs::engine::files::Directory;
use kvs::engine::{KvStoreOptions, Scan, SyncLevel, verify};
use kvs::{KvStore, KvsEngine, KvsError, Result};
use rand::rngs::SmallRng;
use rand::{RngExt, SeedableRng};

type Contents = BTreeMap<String, String>;

#[derive(Debug, Clone)]
enum Step {
    /// Writes that are pending together. `None` removes the key.
    Write(Vec<(String, Option<String>)>),
    Get(String),
    Sync,
    OpenAgain,
}

fn random_steps(rng: &mut SmallRng) -> Vec<Step> {
    let keys = rng.random_range(1..6);
    let longest = if rng.random_bool(0.2) { 300 } else { 40 };
    let mut written = 0;
    let key = |rng: &mut SmallRng| match rng.random_range(0..keys) {
        0 => String::new(),
        n => format!("k{n}"),
    };
    let mut step = |rng: &mut SmallRng| match rng.random_range(0..20) {
        0 => Step::OpenAgain,
        1 | 2 => Step::Sync,
        3..6 => Step::Get(key(rng)),
        _ => {
            let writes = (0..rng.random_range(1..5)).map(|_| {
                written += 1;
                let padding = "x".repeat(rng.random_range(0..longest));
                let value = rng.random_bool(0.8).then(|| format!("{written}{padding}"));
                (key(rng), value)
            });
            Step::Write(writes.collect())
        }
    };
    (0..rng.random_range(3..15)).map(|_| step(rng)).collect()
}

/// A store on a disk, and the contents that it should have.
struct Run {
    disk: Disk,
    options: KvStoreOptions,
    level: SyncLevel,
    store: Option<KvStore<Later>>,
    /// The contents before the first write, and after each write with an effect.
    states: Vec<Contents>,
    /// The number of acknowledged writes, which have to survive a kill.
    acknowledged: usize,
    /// The number of writes that have to survive a power cut.
    durable: usize,
}

impl Run {
    fn new(disk: Disk, options: KvStoreOptions, level: SyncLevel) -> Run {
        Run {
            disk,
            options,
            level,
            store: None,
            states: vec![Contents::new()],
            acknowledged: 0,
            durable: 0,
        }
    }

    fn open(&mut self) -> Result<()> {
        self.store = Some(self.options.open_in(self.disk.clone(), 1)?);
        Ok(())
    }

    fn close(&mut self) {
        // The jobs in the background continue until the store closes.
        run_jobs();
        self.store = None;
    }

    /// Takes a step. Fails if the disk has stopped.
    fn step(&mut self, step: &Step, rng: &mut SmallRng) -> Result<()> {
        let store = self.store.as_ref().unwrap();
        match step {
            Step::OpenAgain => {
                self.close();
                if !self.disk.has_stopped() {
                    self.durable = self.acknowledged;
                }
                self.open()
            }
            Step::Sync => {
                let acknowledged = self.acknowledged;
                done(store.sync())?;
                self.durable = acknowledged;
                Ok(())
            }
            Step::Get(key) => {
                let value = done(store.get(key.clone()))?;
                assert_eq!(value.as_ref(), self.states[self.acknowledged].get(key));
                Ok(())
            }
            Step::Write(writes) => {
                let mut futures = Vec::new();
                for (key, value) in writes {
                    let mut state = self.states[self.states.len() - 1].clone();
                    let had_key = state.contains_key(key);
                    let future = match value {
                        Some(value) => {
                            state.insert(key.clone(), value.clone());
                            store.set(key.clone(), value.clone())
                        }
                        None => {
                            state.remove(key);
                            store.remove(key.clone())
                        }
                    };
                    let has_effect = value.is_some() || had_key;
                    if has_effect {
                        self.states.push(state);
                    }
                    futures.push((future, has_effect));
                    if rng.random_bool(0.5) {
                        run_job();
                    }
                }
                for (future, has_effect) in futures {
                    match done(future) {
                        Ok(()) => self.acknowledged += 1,
                        Err(KvsError::KeyNotFound) if !has_effect => {}
                        Err(error) => return Err(error),
                    }
                    if self.level == SyncLevel::Always {
                        self.durable = self.acknowledged;
                    }
                }
                Ok(())
            }
        }
    }

    fn contents(&self) -> Contents {
        let store = self.store.as_ref().unwrap();
        let keys = (0..6).map(|n| match n {
            0 => String::new(),
            n => format!("k{n}"),
        });
        let found: Contents = keys
            .filter_map(|key| {
                let value = done(store.get(key.clone())).unwrap();
                value.map(|value| (key, value))
            })
            .collect();
        let scanned = self.scan();
        assert_eq!(scanned.len(), found.len(), "a scan repeats a pair");
        assert_eq!(scanned.into_iter().collect::<Contents>(), found);
        found
    }

    /// Scans all pairs, in pages of two.
    fn scan(&self) -> Vec<(String, String)> {
        let store = self.store.as_ref().unwrap();
        let scan = Scan {
            limit: 2,
            ..Scan::default()
        };
        let pages = pages(scan, |scan| done(store.scan(scan)));
        let pairs = pages.flat_map(|page| page.pairs);
        pairs.map(|(key, value)| (key, value.unwrap())).collect()
    }

    /// Opens the store after a crash, perhaps with more crashes in between. Checks that its
    /// contents are those after a write that is not before the write `promised`.
    fn recover(&mut self, mut promised: usize, rng: &mut SmallRng) {
        while rng.random_bool(0.3) {
            self.disk.stop_at(rng.random_range(1..12));
            let opened = self.open();
            self.close();
            if let Err(error) = opened {
                assert!(self.disk.has_stopped(), "{error}");
            }
            self.disk.cut_power(rng);
            promised = self.durable;
        }
        let report = verify(&self.disk, &mut |_, _| {}).unwrap();
        assert!(report.is_sound(), "a crash is no damage: {report}");
        self.open().unwrap();
        let found = self.contents();
        let survivors = promised..self.states.len();
        let Some(n) = survivors.clone().rfind(|n| self.states[*n] == found) else {
            panic!(
                "found {found:?}, which is none of the states {survivors:?} of {:?}",
                self.states
            );
        };
        self.states.truncate(n + 1);
        self.acknowledged = n;
        self.durable = n;
    }
}

/// Prints the history if a check fails.
struct Told(String);

impl Drop for Told {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("{}", self.0);
        }
    }
}

/// Plays the history of a seed. If there is a `stop_at`, stops the machine at that step. Returns
/// the number of steps.
fn play(level: SyncLevel, seed: u64, stop_at: Option<u64>) -> u64 {
    let _told = Told(format!(
        "KVS_SEED={seed}, {level:?}, stopped at {stop_at:?}"
    ));
    let mut rng = SmallRng::seed_from_u64(seed);
    let options = KvStore::<Later>::options()
        .sync(level)
        .segment_bytes([60, 200, 1000][rng.random_range(0..3)])
        .dead_bytes([50, 300, u64::MAX][rng.random_range(0..3)]);
    let steps = random_steps(&mut rng);
    let disk = Disk::default();
    if rng.random_bool(0.5) {
        disk.have_writes_wait();
    }
    let mut run = Run::new(disk.clone(), options, level);
    disk.stop_at(stop_at.unwrap_or(u64::MAX));
    let played = run
        .open()
        .and_then(|()| steps.iter().try_for_each(|step| run.step(step, &mut rng)));
    run.close();
    let Some(stop_at) = stop_at else {
        played.unwrap();
        return disk.steps();
    };
    if let Err(error) = played {
        assert!(disk.has_stopped(), "{error}");
    }

    let mut chance = SmallRng::seed_from_u64(seed ^ (stop_at << 32));
    let promised = if chance.random_bool(0.2) {
        disk.kill();
        run.acknowledged
    } else {
        disk.cut_power(&mut chance);
        run.durable
    };
    run.recover(promised, &mut chance);
    // The store can be written, closed and opened again, and a power cut then loses nothing.
    for step in random_steps(&mut chance).iter().take(3) {
        run.step(step, &mut chance).unwrap();
    }
    run.close();
    disk.cut_power(&mut chance);
    run.recover(run.acknowledged, &mut chance);
    run.close();
    disk.steps()
}

fn a_crash_at_any_moment_loses_nothing_promised(level: SyncLevel) {
    let first = number("KVS_SEED", 1);
    let histories = number("KVS_HISTORIES", 60);
    let crashes = (first..first + histories).map(|seed| crash_everywhere(level, seed));
    let crashes: u64 = crashes.sum();
    println!("{level:?}: {histories} histories, {crashes} crashes");
}

/// Plays the history of a seed, once for each step, and stops the machine there. Returns the number
/// of steps.
fn crash_everywhere(level: SyncLevel, seed: u64) -> u64 {
    let steps = play(level, seed, None);
    for stop_at in 1..=steps {
        play(level, seed, Some(stop_at));
    }
    steps
}

#[test]
fn with_always_a_crash_loses_nothing_that_was_acknowledged() {
    a_crash_at_any_moment_loses_nothing_promised(SyncLevel::Always);
}

#[test]
fn with_everysec_a_crash_loses_nothing_before_the_last_sync() {
    a_crash_at_any_moment_loses_nothing_promised(SyncLevel::EverySec);
}

#[test]
fn with_never_a_crash_leaves_the_store_of_some_moment() {
    a_crash_at_any_moment_loses_nothing_promised(SyncLevel::Never);
}

/// In this history, a crash leaves the hints of a segment without records, which a compaction has
/// removed.
#[test]
fn a_history_that_once_found_a_fault_finds_none() {
    for level in [SyncLevel::Always, SyncLevel::EverySec, SyncLevel::Never] {
        crash_everywhere(level, 115);
    }
}

/// Opens a store at [`SyncLevel::Always`]. Its segments are large enough for a checkpoint.
fn open_always(disk: &Disk) -> KvStore<Later> {
    let options = KvStore::<Later>::options().sync(SyncLevel::Always);
    options
        .segment_bytes(1 << 20)
        .open_in(disk.clone(), 1)
        .unwrap()
}

/// Cuts the power without closing the store.
fn cut_power(disk: &Disk, store: KvStore<Later>, seed: u64) {
    run_jobs();
    disk.cut_power(&mut SmallRng::seed_from_u64(seed));
    mem::forget(store);
}

/// The copy includes the watermark, but its files are not synced here.
#[test]
fn opening_a_copy_of_a_directory_syncs_it() {
    for seed in 0..50 {
        let disk = Disk::default();
        let store = open_always(&disk);
        set(&store, "old", &"x".repeat(20_000));
        drop(store);
        let copy = Disk::default();
        for name in disk.names() {
            let file = copy.create(&name).unwrap();
            file.write_all_at(&disk.bytes(&name), 0).unwrap();
        }
        let store = open_always(&copy);
        set(&store, "new", "acknowledged");
        cut_power(&copy, store, seed);
        let store = open_always(&copy);
        assert_eq!(
            get(&store, "new").as_deref(),
            Some("acknowledged"),
            "{seed}"
        );
    }
}

/// The log is an older copy, and has then grown to the same length.
#[test]
fn a_checkpoint_of_another_course_of_the_log_is_not_used() {
    let key = |n| format!("k{n:02}");
    for seed in 0..50 {
        let disk = Disk::default();
        let store = open_always(&disk);
        for n in 0..50 {
            set(&store, &key(n), &format!("{n:01000}"));
        }
        let name = "0000000001.segment";
        let backup = disk.bytes(name);
        for n in 50..100 {
            set(&store, &key(n), &format!("{n:01000}"));
        }
        drop(store);
        let checkpoint = disk.bytes("kvs-checkpoint");
        for segment in disk
            .names()
            .iter()
            .filter(|name| name.ends_with(".segment"))
        {
            disk.remove(segment).unwrap();
        }
        disk.put(name, &backup);
        disk.put("kvs-synced", b"");
        let store = open_always(&disk);
        for n in 0..80 {
            set(&store, &key(n * 7 % 50), &format!("new{n:0997}"));
        }
        cut_power(&disk, store, seed);
        if seed % 2 == 0 {
            // A copy may leave the checkpoint of the other log in place.
            disk.put("kvs-checkpoint", &checkpoint);
        }
        let store = open_always(&disk);
        for n in 30..80 {
            assert_eq!(
                get(&store, &key(n * 7 % 50)),
                Some(format!("new{n:0997}")),
                "{seed}"
            );
        }
        assert_eq!(get(&store, "k99"), None, "{seed}");
    }
}

#[test]
fn opening_syncs_a_cut_that_may_not_be_synced() {
    let disk = Disk::default();
    let store = open_always(&disk);
    set(&store, "old", &"x".repeat(20_000));
    drop(store);
    let store = open_always(&disk);
    disk.set_faults(Faults {
        room: Some(disk.used() + 10),
        sync_file: true,
        ..Faults::default()
    });
    done(store.set("new".to_owned(), "refused".to_owned())).unwrap_err();
    drop(store);
    disk.set_faults(Faults::default());
    let steps = disk.steps();
    drop(open_always(&disk));
    assert!(disk.steps() > steps);
}
