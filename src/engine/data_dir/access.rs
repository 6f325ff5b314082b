//! The owner of a file, and its other names.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use rustix::fs::{Gid, Uid};

use crate::engine::open_dir::{OpenDir, if_allowed};

/// The user and the group that own a file.
pub(super) type Owner = (Uid, Gid);

/// Returns the owner of `file`.
pub(super) fn owner_of(file: &fs::File) -> io::Result<Owner> {
    let metadata = file.metadata()?;
    Ok((Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid())))
}

/// Makes `owner` the owner of a new file. Only root can do that, and only root has to.
pub(super) fn give(file: &fs::File, owner: Owner) -> io::Result<()> {
    let (user, group) = owner;
    if owner_of(file)?.0 == user {
        return Ok(());
    }
    // Some file systems have no owners.
    if_allowed(rustix::fs::fchown(file, Some(user), Some(group)))
}

/// Returns whether a file has other names, such as in a copy of the directory.
pub(super) fn is_shared(file: &fs::File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.nlink() > 1)
}

/// Replaces the file `name`, which has other names, by a copy that has only this name.
pub(super) fn unshare(dir: &OpenDir, name: &str, mut file: &fs::File) -> io::Result<()> {
    // A crash leaves the old file or the whole copy under the name.
    let unfinished = format!("{name}.unfinished");
    let mut copy = dir.create_file(&unfinished)?;
    io::copy(&mut file, &mut copy)?;
    copy.sync_all()?;
    dir.copy_access(name, &unfinished)?;
    dir.rename(&unfinished, name)
}
