//! A power cut, which loses some of the bytes that were not synced.

use rand::RngExt;
use rand::rngs::SmallRng;

use super::Disk;
use super::state::Change;

impl Disk {
    /// Restarts the machine. A random part of the changes that were not synced is lost.
    pub fn cut_power(&self, rng: &mut SmallRng) {
        let mut state = self.state();
        // From the loss of everything to the loss of nothing.
        let kept = *choose(rng, &[0.0, 0.3, 0.7, 1.0]);
        let names_kept = *choose(rng, &[0.0, 0.5, 1.0]);
        let sector = *choose(rng, &[1, 8, 64, 512]);
        let in_order = rng.random_bool(0.5);

        let mut names = state.durable_names.clone();
        for change in state.unsynced_names.drain(..) {
            if rng.random_bool(names_kept) {
                change.apply(&mut names);
            }
        }
        for inode in &mut state.inodes {
            let unsynced = std::mem::take(&mut inode.unsynced);
            if in_order {
                keep_a_beginning(rng, unsynced, &mut inode.durable);
            } else {
                keep_some_sectors(rng, unsynced, &mut inode.durable, kept, sector);
            }
            inode.seen.clone_from(&inode.durable);
        }
        state.durable_names.clone_from(&names);
        state.names = names;
        state.boot += 1;
        state.start_again();
    }
}

fn choose<'a, T>(rng: &mut SmallRng, choices: &'a [T]) -> &'a T {
    &choices[rng.random_range(0..choices.len())]
}

/// Keeps the changes before a random one, and a part of that one.
fn keep_a_beginning(rng: &mut SmallRng, changes: Vec<Change>, bytes: &mut Vec<u8>) {
    let whole = rng.random_range(0..=changes.len());
    for change in &changes[..whole] {
        change.apply(bytes);
    }
    if let Some(Change::Write(offset, new)) = changes.get(whole) {
        let len = rng.random_range(0..=new.len());
        Change::Write(*offset, new[..len].to_vec()).apply(bytes);
    }
}

/// Keeps each sector with the probability `kept`, independent of earlier changes.
fn keep_some_sectors(
    rng: &mut SmallRng,
    changes: Vec<Change>,
    bytes: &mut Vec<u8>,
    kept: f64,
    sector: usize,
) {
    for change in changes {
        match change {
            Change::Write(offset, new) => {
                let mut start = 0;
                while start < new.len() {
                    let at = offset as usize + start;
                    let end = new.len().min(start + sector - at % sector);
                    if rng.random_bool(kept) {
                        Change::Write(at as u64, new[start..end].to_vec()).apply(bytes);
                    }
                    start = end;
                }
            }
            Change::Truncate(_) => {
                if rng.random_bool(kept) {
                    change.apply(bytes);
                }
            }
        }
    }
}
