//! The files of a disk, as programs see them and as a power cut leaves them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::time::Duration;

use super::Faults;

#[derive(Debug, Default)]
pub struct State {
    pub inodes: Vec<Inode>,
    /// The names that programs see.
    pub names: BTreeMap<String, usize>,
    /// The names that are synced.
    pub durable_names: BTreeMap<String, usize>,
    pub unsynced_names: Vec<NameChange>,
    /// The number of restarts of the machine.
    pub boot: u32,
    /// The number of restarts of the machine or the process. A handle of an earlier life fails.
    pub life: u32,
    /// The number of changes and syncs so far.
    pub steps: u64,
    pub stop_at: Option<u64>,
    pub has_stopped: bool,
    pub faults: Faults,
    /// The number of syncs of files that succeed before one fails.
    pub syncs_left: Option<u32>,
    pub writes_wait: bool,
    /// The time that a sync of a file takes.
    pub sync_time: Duration,
}

#[derive(Debug, Default, Clone)]
pub struct Inode {
    pub seen: Vec<u8>,
    pub durable: Vec<u8>,
    pub unsynced: Vec<Change>,
    /// The number of open handles. The bytes take room as long as the file has a name or a handle.
    pub handles: usize,
}

#[derive(Debug, Clone)]
pub enum Change {
    Write(u64, Vec<u8>),
    Truncate(u64),
}

impl Change {
    pub fn apply(&self, bytes: &mut Vec<u8>) {
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
pub enum NameChange {
    Create(String, usize),
    Rename(String, String, usize),
    Remove(String),
}

impl NameChange {
    pub fn apply(&self, names: &mut BTreeMap<String, usize>) {
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

impl State {
    pub fn used(&self) -> u64 {
        let named: BTreeSet<_> = self.names.values().copied().collect();
        let inodes = self.inodes.iter().enumerate();
        inodes
            .filter(|(n, inode)| inode.handles > 0 || named.contains(n))
            .map(|(_, inode)| inode.seen.len() as u64)
            .sum()
    }

    pub fn start_again(&mut self) {
        self.life += 1;
        for inode in &mut self.inodes {
            inode.handles = 0;
        }
        self.stop_at = None;
        self.has_stopped = false;
    }

    /// Counts a step and runs it. If the machine stops at this step, it has run and fails.
    pub fn step<T>(&mut self, run: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.check()?;
        self.steps += 1;
        self.has_stopped = self.stop_at.is_some_and(|stop| self.steps >= stop);
        let result = run(self)?;
        self.check().map(|()| result)
    }

    pub fn check(&self) -> io::Result<()> {
        if self.has_stopped {
            return Err(io::Error::other("the machine has stopped"));
        }
        Ok(())
    }

    pub fn find(&self, name: &str) -> io::Result<usize> {
        let found = self.names.get(name).copied();
        found.ok_or_else(|| ErrorKind::NotFound.into())
    }

    pub fn change_names(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }
}

/// Returns an error if the disk has this fault.
pub fn fails(fault: bool) -> io::Result<()> {
    if fault {
        return Err(io::Error::other("the disk fails"));
    }
    Ok(())
}
