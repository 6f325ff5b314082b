//! A disk in memory. At a power cut it forgets a random part of the bytes that were not synced, and
//! it fails on request.
#![allow(dead_code, reason = "every test file uses a part of this")]

mod directory;
mod file;
mod power_cut;
mod state;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use self::state::{Inode, State};

/// A directory on a disk in memory. Clones share the disk.
#[derive(Debug, Clone, Default)]
pub struct Disk(Arc<Mutex<State>>);

/// The faults of a disk, until they are set again.
#[derive(Debug, Default, Clone, Copy)]
pub struct Faults {
    /// The room for all files together, in bytes.
    pub room: Option<u64>,
    /// Whether the directory hides the free room, as with a quota.
    pub room_is_secret: bool,
    /// The limit on the length of a file, in bytes.
    pub file_size: Option<u64>,
    /// Whether unlinking a file fails.
    pub remove: bool,
    /// Whether syncing a file fails. The bytes that it would have synced are lost at the next power
    /// cut.
    pub sync_file: bool,
    /// Whether syncing the directory fails.
    pub sync_names: bool,
    /// Whether the file system cannot sync directories at all.
    pub no_sync_of_names: bool,
    pub truncate: bool,
    pub read: bool,
}

impl Disk {
    /// Makes every write a job, as in the engine on `tokio::fs`.
    pub fn have_writes_wait(&self) {
        self.state().writes_wait = true;
    }

    /// Makes every sync of a file take this long.
    pub fn set_sync_time(&self, time: Duration) {
        self.state().sync_time = time;
    }

    /// Returns a disk with these files.
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

    /// Returns another disk with the same files, as programs see them.
    pub fn copy(&self) -> Disk {
        let state = self.state();
        let copy = Disk::default();
        for (name, inode) in &state.names {
            copy.put(name, &state.inodes[*inode].seen);
        }
        copy.state().boot = state.boot;
        copy
    }

    /// Returns another disk with the bytes that a power cut would certainly leave.
    pub fn durable(&self) -> Disk {
        let state = self.state();
        let left = Disk::default();
        for (name, inode) in &state.durable_names {
            left.put(name, &state.inodes[*inode].durable);
        }
        left.state().boot = state.boot + 1;
        left
    }

    /// Puts a synced file on the disk. Replaces an existing file.
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

    /// Returns the bytes of a file, as programs see them.
    pub fn bytes(&self, name: &str) -> Vec<u8> {
        let state = self.state();
        state.inodes[state.names[name]].seen.clone()
    }

    /// Changes every byte of a file, also for those that have opened it.
    pub fn damage(&self, name: &str) {
        let mut state = self.state();
        let inode = state.names[name];
        let bytes = &mut state.inodes[inode].seen;
        bytes.iter_mut().for_each(|byte| *byte = !*byte);
    }

    /// Gives a file another name.
    pub fn link(&self, name: &str, other: &str) {
        let mut state = self.state();
        let inode = state.names[name];
        state.names.insert(other.to_owned(), inode);
    }

    /// Returns the names of all files, with their bytes.
    pub fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let names = self.names().into_iter();
        names
            .map(|name| (name.clone(), self.bytes(&name)))
            .collect()
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

    /// Lets one sync of a file fail, after `syncs` that succeed. The bytes that it would have
    /// synced are never written, and the next sync reports success.
    pub fn fail_sync_after(&self, syncs: u32) {
        self.state().syncs_left = Some(syncs);
    }

    /// Returns whether the sync that should fail is still to come.
    pub fn is_sync_still_to_fail(&self) -> bool {
        self.state().syncs_left.is_some()
    }

    /// Returns the number of changes and syncs so far.
    pub fn steps(&self) -> u64 {
        self.state().steps
    }

    /// Stops the machine at the step `step`, counted from now on. The step itself has begun, and
    /// all later ones fail.
    pub fn stop_at(&self, step: u64) {
        let mut state = self.state();
        state.stop_at = Some(state.steps.saturating_add(step));
    }

    pub fn has_stopped(&self) -> bool {
        self.state().has_stopped
    }

    /// Ends the process. Its writes stay, synced or not.
    pub fn kill(&self) {
        self.state().start_again();
    }
}
