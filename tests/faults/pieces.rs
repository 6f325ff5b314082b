//! Compaction goes through a large log piece by piece.

use std::cmp::Ordering;

use super::*;
use common::disk::Faults;
use common::later::{close, run_job};
use kvs::KvsError;
use kvs::engine::verify;
use rand::SeedableRng;
use rand::rngs::SmallRng;

const KEYS: usize = 100;

fn key_of_many(n: usize) -> String {
    format!("key{n:03}")
}

/// Fills a store with many segments, in which every second record is dead. No compaction has begun.
fn half_dead(disk: &Disk) -> KvStore<Later> {
    filled(disk, (0..KEYS).flat_map(|n| [(n, "old"), (n, "new")]))
}

fn filled(disk: &Disk, writes: impl IntoIterator<Item = (usize, &'static str)>) -> KvStore<Later> {
    let never = options().dead_bytes(u64::MAX);
    let store: KvStore<Later> = never.open_in(disk.clone(), 1).unwrap();
    for (n, value) in writes {
        set(&store, &key_of_many(n), value).unwrap();
    }
    close(store);
    open(disk, SyncLevel::EverySec)
}

#[test]
fn a_compaction_takes_room_for_one_piece_only() {
    let disk = Disk::default();
    let store = half_dead(&disk);
    let before = disk.used();
    let spare = 2500;
    assert!(before > 4 * spare, "only {before} bytes");
    disk.set_faults(Faults {
        room: Some(before + spare),
        ..Faults::default()
    });
    set(&store, "more", "dead bytes").unwrap();
    let stats = store.stats();
    assert!(stats.seconds_since_compaction.is_some());
    assert!(disk.used() < before * 2 / 3, "{} of {before}", disk.used());
    for n in 0..KEYS {
        assert_eq!(get(&store, &key_of_many(n)).as_deref(), Some("new"));
    }
    close(store);
}

#[test]
fn a_compaction_does_not_read_a_segment_without_live_records() {
    let disk = Disk::default();
    let all = |value| (0..KEYS).map(move |n| (n, value));
    let store = filled(&disk, all("old").chain(all("new")));
    let old = segments(&disk);
    let dead = &old[..old.len() / 3];
    for name in dead {
        disk.damage(name);
        disk.damage(&name.replace("segment", "hints"));
    }
    set(&store, "more", "dead bytes").unwrap();
    assert!(store.stats().seconds_since_compaction.is_some());
    let left = segments(&disk);
    assert!(dead.iter().all(|name| !left.contains(name)), "{left:?}");
    for n in 0..KEYS {
        assert_eq!(get(&store, &key_of_many(n)).as_deref(), Some("new"));
    }
    close(store);
    assert!(verify(&disk, &mut |_, _| {}).unwrap().is_sound());
}

#[test]
fn a_key_removed_before_or_during_a_compaction_stays_removed_whenever_it_ends() {
    for steps in (0..200).step_by(5) {
        let disk = Disk::default();
        let store = half_dead(&disk);
        let (before, during) = (key_of_many(KEYS - 1), key_of_many(0));
        done(store.remove(before.clone())).unwrap();
        for _ in 0..steps {
            run_job();
        }
        done(store.remove(during.clone())).unwrap();
        disk.kill();
        std::mem::forget(store);
        for _ in 0..2 {
            let store = open(&disk, SyncLevel::EverySec);
            assert_eq!(get(&store, &before), None, "after {steps} steps");
            assert_eq!(get(&store, &during), None, "after {steps} steps");
            assert_eq!(get(&store, &key_of_many(1)).as_deref(), Some("new"));
            close(store);
        }
        assert!(verify(&disk, &mut |_, _| {}).unwrap().is_sound());
    }
}

#[test]
fn when_all_keys_are_removed_their_tombstones_go_too() {
    let disk = Disk::default();
    let store = half_dead(&disk);
    for n in 0..KEYS {
        done(store.remove(key_of_many(n))).unwrap();
    }
    // One pass drops the tombstones that were written before it.
    for _ in 0..20 {
        set(&store, "last", "value").unwrap();
    }
    let left = segments(&disk).into_iter();
    let left = left.map(|name| disk.bytes(&name).len()).sum::<usize>();
    assert!(left < 1000, "{left} bytes");
    close(store);
}

/// Runs jobs until one of them makes the number of segments greater or less.
fn run_until(disk: &Disk, change: Ordering) {
    let mut before = segments(disk).len();
    loop {
        assert!(run_job(), "the compaction has ended");
        let now = segments(disk).len();
        if now.cmp(&before) == change {
            return;
        }
        before = now;
    }
}

/// A power cut may bring the names back, and the next opening looks at the files.
#[test]
fn if_the_removal_of_names_cannot_be_synced_the_files_stay_whole() {
    let fails = Faults {
        sync_names: true,
        ..Faults::default()
    };
    let is_unsupported = Faults {
        no_sync_of_names: true,
        ..Faults::default()
    };
    for seed in 0..100 {
        let disk = Disk::default();
        let store = half_dead(&disk);
        done(store.set("more".to_owned(), "dead bytes".to_owned())).unwrap();
        // Opening looks at no segment before the output of the first piece, so this is the second.
        for change in [Ordering::Greater, Ordering::Less].repeat(2) {
            run_until(&disk, change);
        }
        let before = segments(&disk).len();
        disk.set_faults([fails, is_unsupported][seed as usize % 2]);
        // The next piece is published after that.
        run_until(&disk, Ordering::Greater);
        assert!(segments(&disk).len() <= before, "no name was left");
        disk.cut_power(&mut SmallRng::seed_from_u64(seed));
        disk.set_faults(Faults::default());
        std::mem::forget(store);
        let store = open(&disk, SyncLevel::EverySec);
        for n in 0..KEYS {
            assert_eq!(get(&store, &key_of_many(n)).as_deref(), Some("new"));
        }
        close(store);
    }
}

#[test]
fn a_missing_piece_is_damage() {
    let disk = Disk::default();
    let store = half_dead(&disk);
    set(&store, "more", "dead bytes").unwrap();
    close(store);
    let all = segments(&disk);
    assert!(all.len() > 4, "{all:?}");
    for name in &all[..all.len() - 1] {
        let files = disk.files();
        let left = files.iter().filter(|(file, _)| *file != name);
        let disk = Disk::with(left.map(|(name, bytes)| (&**name, &**bytes)));
        let opened = options().open_in::<Later>(disk.clone(), 1);
        assert!(matches!(opened, Err(KvsError::Damaged { .. })), "{name}");
        assert!(!verify(&disk, &mut |_, _| {}).unwrap().is_sound());
    }
}
