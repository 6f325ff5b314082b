//! A disk in memory. It forgets at a power cut what was not synced, as much or as little of it as
//! chance wants, and it fails when told to.
#![allow(dead_code, reason = "every test file uses a part of this")]

mod directory;
mod file;
mod power_cut;
mod state;

use std::sync::{Arc, Mutex, MutexGuard};

use self::state::{Inode, State};

/// A directory on such a disk. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

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
}
