//! A disk in memory. It forgets at a power cut what was not synced, as much or as little of it as
//! chance wants, and it fails when told to.
#![allow(dead_code, reason = "every test file uses a part of this")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard};

use kvs::engine::files::{Directory, File};
use rand::RngExt;
use rand::rngs::SmallRng;

/// A directory on such a disk. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

#[derive(Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    /// As programs see it.
    names: BTreeMap<String, usize>,
    /// As it is on the disk.
    durable_names: BTreeMap<String, usize>,
    unsynced_names: Vec<NameChange>,
    /// How often the machine was started.
    boot: u32,
    /// How often it was started or the process killed: files that were open before are no more.
    life: u32,
    /// Changes and syncs so far.
    steps: u64,
    stop_at: Option<u64>,
    has_stopped: bool,
    faults: Faults,
    /// How many files are synced before one is not.
    syncs_left: Option<u32>,
    writes_wait: bool,
}

/// What the disk fails to do, until it is told otherwise.
#[derive(Debug, Default, Clone, Copy)]
pub struct Faults {
    /// The room for all files together, in bytes.
    pub room: Option<u64>,
    /// Whether the directory hides how much of that is free, as with a quota.
    pub room_is_secret: bool,
    /// The limit on the length of a file, in bytes.
    pub file_size: Option<u64>,
    /// Whether unlinking a file fails.
    pub remove: bool,
    /// Syncing a file fails, and what it would have made durable never will be.
    pub sync_file: bool,
    /// Syncing the directory fails.
    pub sync_names: bool,
    /// Whether the file system cannot sync directories at all.
    pub no_sync_of_names: bool,
    pub truncate: bool,
    pub read: bool,
}

#[derive(Debug, Default, Clone)]
struct Inode {
    seen: Vec<u8>,
    durable: Vec<u8>,
    unsynced: Vec<Change>,
    /// The number of open handles. The bytes take room until the file has neither a name nor a
    /// handle.
    handles: usize,
}

#[derive(Debug, Clone)]
enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        match self {
            Change::Write(offset, new) => {
                let start = *offset as usize;
                let end = start + new.len();
                bytes.resize(bytes.len().max(end), 0);
                bytes[start..end].copy_from_slice(new);
            }
            Change::Truncate(len) => bytes.truncate(*len as usize),
        }
    }
}

#[derive(Debug, Clone)]
enum NameChange {
    Create(String, usize),
    Rename(String, String, usize),
    Remove(String),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            NameChange::Create(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            NameChange::Rename(from, to, inode) => {
                names.remove(from);
                names.insert(to.clone(), *inode);
            }
            NameChange::Remove(name) => {
                names.remove(name);
            }
        }
    }
}

impl Disk {
    /// Has every write be a job, as it is for the engine on `tokio::fs`.
    pub fn have_writes_wait(&self) {
        self.state().writes_wait = true;
    }

    /// A disk with these files on it.
    pub fn with<'a>(files: impl IntoIterator<Item = (&'a str, &'a [u8])>) -> Disk {
        let disk = Disk::default();
        for (name, bytes) in files {
            disk.put(name, bytes);
        }
        disk
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// Another disk with the same on it, as programs see it.
    pub fn copy(&self) -> Disk {
        let state = self.state();
        let copy = Disk::default();
        for (name, inode) in &state.names {
            copy.put(name, &state.inodes[*inode].seen);
        }
        copy.state().boot = state.boot;
        copy
    }

    /// Another disk with what would be left on this one if the power failed now and took all that
    /// it could.
    pub fn durable(&self) -> Disk {
        let state = self.state();
        let left = Disk::default();
        for (name, inode) in &state.durable_names {
            left.put(name, &state.inodes[*inode].durable);
        }
        left.state().boot = state.boot + 1;
        left
    }

    /// Puts a file on the disk, durably, in the place of one that may be there.
    pub fn put(&self, name: &str, bytes: &[u8]) {
        let mut state = self.state();
        let inode = state.inodes.len();
        state.inodes.push(Inode {
            seen: bytes.to_vec(),
            durable: bytes.to_vec(),
            ..Inode::default()
        });
        state.names.insert(name.to_owned(), inode);
        state.durable_names.insert(name.to_owned(), inode);
    }

    /// The bytes of a file.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.inodes[state.names[name]].seen.clone()
    }

    pub fn names(&self) -> Vec<String> {
        self.state().names.keys().cloned().collect()
    }

    /// Returns the bytes in all files, including open ones without a name.
    pub fn used(&self) -> u64 {
        self.state().used()
    }

    pub fn set_faults(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// Lets the sync of a file fail, once, after so many that do not. What it was about never comes
    /// to the disk, and the next sync says that all is well.
    pub fn fail_sync_after(&self, syncs: u32) {
        self.state().syncs_left = Some(syncs);
    }

    /// Whether that sync is still to come.
    pub fn is_sync_still_to_fail(&self) -> bool {
        self.state().syncs_left.is_some()
    }

    /// Changes and syncs so far.
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Lets everything stop at the step of this number, counted from now on: it has begun, and
    /// nothing behind it happens.
    pub fn stop_at(&self, step: u64) {
        let mut state = self.state();
        state.stop_at = Some(state.steps.saturating_add(step));
    }

    pub fn has_stopped(&self) -> bool {
        self.state().has_stopped
    }

    /// The process is gone, and all that it did is there.
    pub fn kill(&self) {
        self.state().start_again();
    }

    /// The machine is gone, and with it some of what was not synced.
    pub fn cut_power(&self, rng: &mut SmallRng) {
        let mut state = self.state();
        // From losing all to losing nothing.
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
            match in_order {
                true => keep_a_beginning(rng, unsynced, &mut inode.durable),
                false => keep_some_sectors(rng, unsynced, &mut inode.durable, kept, sector),
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

/// The changes up to some moment, and a part of the one at that moment.
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

/// Each sector with some probability, whatever came before it.
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

impl State {
    fn used(&self) -> u64 {
        let named: BTreeSet<_> = self.names.values().copied().collect();
        let inodes = self.inodes.iter().enumerate();
        inodes
            .filter(|(n, inode)| inode.handles > 0 || named.contains(n))
            .map(|(_, inode)| inode.seen.len() as u64)
            .sum()
    }

    fn start_again(&mut self) {
        self.life += 1;
        for inode in &mut self.inodes {
            inode.handles = 0;
        }
        self.stop_at = None;
        self.has_stopped = false;
    }

    /// Counts a step and does it. Where the machine stops at it, it is done and not reported.
    fn step<T>(&mut self, run: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.check()?;
        self.steps += 1;
        self.has_stopped = self.stop_at.is_some_and(|stop| self.steps >= stop);
        let result = run(self)?;
        self.check().map(|()| result)
    }

    fn check(&self) -> io::Result<()> {
        match self.has_stopped {
            true => Err(io::Error::other("the machine has stopped")),
            false => Ok(()),
        }
    }

    fn find(&self, name: &str) -> io::Result<usize> {
        let found = self.names.get(name).copied();
        found.ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }
}

fn fails(fault: bool) -> io::Result<()> {
    match fault {
        true => Err(io::Error::other("the disk fails")),
        false => Ok(()),
    }
}

impl Disk {
    fn opened(&self, state: &mut State, inode: usize) -> Arc<dyn File> {
        state.inodes[inode].handles += 1;
        Arc::new(Opened {
            disk: self.clone(),
            inode,
            life: state.life,
        })
    }
}

impl Directory for Disk {
    fn path(&self) -> &Path {
        Path::new("/disk")
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.state().check()?;
        Ok(self.names())
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.state();
        state.check()?;
        let inode = state.find(name)?;
        Ok(self.opened(&mut state, inode))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let mut state = self.state();
        let inode = state.step(|state| {
            if state.faults.room.is_some_and(|room| state.used() >= room) {
                return Err(ErrorKind::StorageFull.into());
            }
            let inode = match state.find(name) {
                Ok(inode) => {
                    state.inodes[inode].seen.clear();
                    state.inodes[inode].unsynced.push(Change::Truncate(0));
                    inode
                }
                Err(_) => {
                    state.inodes.push(Inode::default());
                    let inode = state.inodes.len() - 1;
                    state.change_names(NameChange::Create(name.to_owned(), inode));
                    inode
                }
            };
            Ok(inode)
        })?;
        Ok(self.opened(&mut state, inode))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.state().step(|state| {
            let inode = state.find(from)?;
            state.change_names(NameChange::Rename(from.to_owned(), to.to_owned(), inode));
            Ok(())
        })
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.state().step(|state| {
            fails(state.faults.remove)?;
            state.find(name)?;
            state.change_names(NameChange::Remove(name.to_owned()));
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        self.state().step(|state| {
            fails(state.faults.sync_names)?;
            if state.faults.no_sync_of_names {
                return Err(ErrorKind::Unsupported.into());
            }
            if !state.has_stopped {
                state.unsynced_names.clear();
                state.durable_names.clone_from(&state.names);
            }
            Ok(())
        })
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let state = self.state();
        match state.faults {
            Faults {
                room_is_secret: true,
                ..
            } => Err(ErrorKind::Unsupported.into()),
            Faults { room, .. } => {
                Ok(room.map_or(u64::MAX, |room| room.saturating_sub(state.used())))
            }
        }
    }

    fn boot(&self) -> String {
        format!("start {}", self.state().boot)
    }
}

/// An open file.
#[derive(Debug)]
struct Opened {
    disk: Disk,
    inode: usize,
    life: u32,
}

impl Drop for Opened {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if state.life == self.life {
            state.inodes[self.inode].handles -= 1;
        }
    }
}

impl Opened {
    fn step<T>(
        &self,
        run: impl FnOnce(Faults, u64, bool, &mut Inode) -> io::Result<T>,
    ) -> io::Result<T> {
        let mut state = self.disk.state();
        if state.life != self.life {
            return Err(io::Error::other("the process that opened this is gone"));
        }
        state.step(|state| {
            let used = state.used();
            let inode = &mut state.inodes[self.inode];
            run(state.faults, used, state.has_stopped, inode)
        })
    }

    fn read<T>(&self, run: impl FnOnce(&Inode) -> T) -> io::Result<T> {
        let state = self.disk.state();
        state.check()?;
        fails(state.faults.read)?;
        Ok(run(&state.inodes[self.inode]))
    }
}

impl File for Opened {
    fn size(&self) -> io::Result<u64> {
        self.read(|inode| inode.seen.len() as u64)
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        self.read(|inode| {
            let rest = inode.seen.get(offset as usize..).unwrap_or_default();
            let n = rest.len().min(buffer.len());
            buffer[..n].copy_from_slice(&rest[..n]);
            n
        })
    }

    fn can_write_at_once(&self) -> bool {
        !self.disk.state().writes_wait
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.step(|faults, used, has_stopped, inode| {
            let end = offset + bytes.len() as u64;
            let more = end.saturating_sub(inode.seen.len() as u64);
            let missing = faults
                .room
                .map_or(0, |room| (used + more).saturating_sub(room))
                .min(more);
            let too_long = faults.file_size.map_or(0, |max| end.saturating_sub(max));
            let refused = missing.max(too_long) as usize;
            let mut written = &bytes[..bytes.len().saturating_sub(refused)];
            if has_stopped {
                // A process may be killed in the middle of a write.
                written = &written[..written.len() / 2];
            }
            let change = Change::Write(offset, written.to_vec());
            change.apply(&mut inode.seen);
            inode.unsynced.push(change);
            if too_long > 0 {
                return Err(ErrorKind::FileTooLarge.into());
            }
            match missing {
                0 => Ok(()),
                _ => Err(ErrorKind::StorageFull.into()),
            }
        })
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.step(|faults, _, _, inode| {
            fails(faults.truncate)?;
            let change = Change::Truncate(len);
            change.apply(&mut inode.seen);
            inode.unsynced.push(change);
            Ok(())
        })
    }

    fn sync(&self) -> io::Result<()> {
        let is_to_fail = {
            let syncs_left = &mut self.disk.state().syncs_left;
            let is_to_fail = *syncs_left == Some(0);
            *syncs_left = syncs_left.and_then(|left| left.checked_sub(1));
            is_to_fail
        };
        self.step(|faults, _, has_stopped, inode| {
            if has_stopped {
                return Ok(());
            }
            let unsynced = std::mem::take(&mut inode.unsynced);
            // What a failed sync was about counts as written from then on, and is not.
            fails(faults.sync_file || is_to_fail)?;
            for change in unsynced {
                change.apply(&mut inode.durable);
            }
            Ok(())
        })
    }
}
