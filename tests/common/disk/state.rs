//! The files of a disk, as programs see them and as a power cut leaves them.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};

use super::Faults;

#[derive(Debug, Default)]
pub struct State {
    pub inodes: Vec<Inode>,
    /// As programs see it.
    pub names: BTreeMap<String, usize>,
    /// As it is on the disk.
    pub durable_names: BTreeMap<String, usize>,
    pub unsynced_names: Vec<NameChange>,
    /// How often the machine was started.
    pub boot: u32,
    /// How often it was started or the process killed: files that were open before are no more.
    pub life: u32,
    /// Changes and syncs so far.
    pub steps: u64,
    pub stop_at: Option<u64>,
    pub has_stopped: bool,
    pub faults: Faults,
    /// How many files are synced before one is not.
    pub syncs_left: Option<u32>,
    pub writes_wait: bool,
}

#[derive(Debug, Default, Clone)]
pub struct Inode {
    pub seen: Vec<u8>,
    pub durable: Vec<u8>,
    pub unsynced: Vec<Change>,
    /// The number of open handles. The bytes take room until the file has neither a name nor a
    /// handle.
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

    /// Counts a step and does it. Where the machine stops at it, it is done and not reported.
    pub fn step<T>(&mut self, run: impl FnOnce(&mut State) -> io::Result<T>) -> io::Result<T> {
        self.check()?;
        self.steps += 1;
        self.has_stopped = self.stop_at.is_some_and(|stop| self.steps >= stop);
        let result = run(self)?;
        self.check().map(|()| result)
    }

    pub fn check(&self) -> io::Result<()> {
        match self.has_stopped {
            true => Err(io::Error::other("the machine has stopped")),
            false => Ok(()),
        }
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

pub fn fails(fault: bool) -> io::Result<()> {
    match fault {
        true => Err(io::Error::other("the disk fails")),
        false => Ok(()),
    }
}
