//! The open files of a disk.

use std::io::{self, ErrorKind};
use std::thread;

use kvs::engine::files::File;

use super::state::{Change, Inode, fails};
use super::{Disk, Faults};

/// An open file.
#[derive(Debug)]
pub struct Opened {
    pub disk: Disk,
    pub inode: usize,
    pub life: u32,
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

    fn links(&self) -> io::Result<u64> {
        let state = self.disk.state();
        state.check()?;
        let names = state.names.values();
        Ok(names.filter(|inode| **inode == self.inode).count() as u64)
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
                // A kill can interrupt a write.
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
        let (is_to_fail, time) = {
            let state = &mut *self.disk.state();
            let is_to_fail = state.syncs_left == Some(0);
            state.syncs_left = state.syncs_left.and_then(|left| left.checked_sub(1));
            (is_to_fail, state.sync_time)
        };
        thread::sleep(time);
        self.step(|faults, _, has_stopped, inode| {
            if has_stopped {
                return Ok(());
            }
            let unsynced = std::mem::take(&mut inode.unsynced);
            // The system takes the bytes of a failed sync for written from then on, but they are
            // not.
            fails(faults.sync_file || is_to_fail)?;
            for change in unsynced {
                change.apply(&mut inode.durable);
            }
            Ok(())
        })
    }
}
