//! The directory of a disk, as the store uses it.

use std::io::{self, ErrorKind};
use std::path::Path;
use std::sync::Arc;

use kvs::engine::files::{Directory, File};

use super::file::Opened;
use super::state::{Change, Inode, NameChange, State, fails};
use super::{Disk, Faults};

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
