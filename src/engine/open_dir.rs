//! A directory that stays open, so that names are resolved against it and not against a path. A
//! path leads to another directory after a change of the working directory or a rename of one of
//! its parts.

use std::fs::{self, TryLockError};
use std::io::{self, ErrorKind};
use std::path::{self, Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{AtFlags, Dir, Gid, Mode, OFlags, Uid};
use rustix::io::{Errno, retry_on_intr};

/// An open directory, and the path that it had when it was opened.
#[derive(Debug)]
pub(super) struct OpenDir {
    path: PathBuf,
    /// Stays open, because a sync that had to open it first could fail for lack of a descriptor.
    handle: fs::File,
}

impl OpenDir {
    /// Opens the directory `path`. If `create` is set, creates it if it does not exist.
    pub(super) fn open(path: &Path, create: bool) -> io::Result<OpenDir> {
        // This fails only if the path is empty or the working directory has been removed.
        let path = path::absolute(path).unwrap_or_else(|_| path.to_owned());
        if create {
            create_durably(&path)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = retry_on_intr(|| rustix::fs::open(&path, flags, Mode::empty()))?.into();
        Ok(OpenDir { path, handle })
    }

    /// Opens a directory as if its file system could not lock or sync directories.
    #[cfg(all(test, target_os = "linux"))]
    pub(super) fn open_unlockable(path: &Path) -> io::Result<OpenDir> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(path, flags, Mode::empty())?.into();
        let path = path.to_owned();
        Ok(OpenDir { path, handle })
    }

    /// Returns the path that the directory had when it was opened. It is for messages only.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the directory itself.
    pub(super) fn handle(&self) -> &fs::File {
        &self.handle
    }

    /// Locks the directory until `self` is dropped.
    pub(super) fn try_lock(&self) -> Result<(), TryLockError> {
        try_lock(&self.handle)
    }

    /// Opens the file `name`. A new file gets the default mode of the process.
    pub(super) fn open_file(&self, name: &str, flags: OFlags) -> io::Result<fs::File> {
        let (flags, mode) = (flags | OFlags::CLOEXEC, Mode::from_raw_mode(0o666));
        let opened = retry_on_intr(|| rustix::fs::openat(&self.handle, name, flags, mode));
        opened
            .map(fs::File::from)
            .map_err(|error| self.explain(error.into()))
    }

    /// Creates an empty file, and replaces an existing one.
    ///
    /// The existing file is unlinked and not truncated, because it may have other names, such as in
    /// a copy of the directory, or be a link to a file elsewhere.
    pub(super) fn create_file(&self, name: &str) -> io::Result<fs::File> {
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
        match self.open_file(name, flags) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                self.remove(name)?;
                self.open_file(name, flags)
            }
            created => created,
        }
    }

    /// Returns the names in the directory, except those that are not UTF-8.
    pub(super) fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.handle).map_err(|error| self.explain(error.into()))? {
            let entry = entry.map_err(|error| self.explain(error.into()))?;
            if let Ok(name) = entry.file_name().to_str()
                && name != "."
                && name != ".."
            {
                names.push(name.to_owned());
            }
        }
        Ok(names)
    }

    pub(super) fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        rustix::fs::renameat(&self.handle, from, &self.handle, to)
            .map_err(|error| self.explain(error.into()))
    }

    pub(super) fn remove(&self, name: &str) -> io::Result<()> {
        rustix::fs::unlinkat(&self.handle, name, AtFlags::empty())
            .map_err(|error| self.explain(error.into()))
    }

    /// Waits until the names would survive a power cut.
    pub(super) fn sync(&self) -> io::Result<()> {
        sync_names(&self.handle)
    }

    /// Gives the file `to` the owner and the mode of `from`, as far as this process may.
    pub(super) fn copy_access(&self, from: &str, to: &str) -> io::Result<()> {
        let like = rustix::fs::statat(&self.handle, from, AtFlags::empty())?;
        let (user, group) = (Uid::from_raw(like.st_uid), Gid::from_raw(like.st_gid));
        let link = AtFlags::SYMLINK_NOFOLLOW;
        if_allowed(rustix::fs::chownat(
            &self.handle,
            to,
            Some(user),
            Some(group),
            link,
        ))?;
        let mode = Mode::from_raw_mode(like.st_mode);
        if_allowed(rustix::fs::chmodat(
            &self.handle,
            to,
            mode,
            AtFlags::empty(),
        ))
    }

    /// Returns a path that always leads to this directory, within this process, for code that takes
    /// only paths. Only Linux has such a path. Elsewhere, returns the path that the directory had
    /// when it was opened.
    #[cfg(feature = "sled")]
    pub(super) fn path_of_descriptor(&self) -> PathBuf {
        use std::os::fd::AsRawFd;
        use std::os::unix::fs::MetadataExt;

        let by_descriptor = PathBuf::from(format!("/proc/self/fd/{}", self.handle.as_raw_fd()));
        let is_here = || {
            let (found, here) = (
                fs::metadata(&by_descriptor).ok()?,
                self.handle.metadata().ok()?,
            );
            Some((found.dev(), found.ino()) == (here.dev(), here.ino()))
        };
        if is_here() == Some(true) {
            by_descriptor
        } else {
            self.path.clone()
        }
    }

    fn is_removed(&self) -> bool {
        // Not every file system counts the links of a directory. On the others, Linux refuses to
        // list a directory that has been removed.
        let first = Dir::read_from(&self.handle).map(|mut entries| entries.next());
        rustix::fs::fstat(&self.handle).is_ok_and(|stat| stat.st_nlink == 0)
            || matches!(first, Ok(Some(Err(Errno::NOENT))))
    }

    /// Adds the cause to an error if the directory has been removed. Such a directory takes no new
    /// files, and the system reports for each of them that it does not exist.
    fn explain(&self, error: io::Error) -> io::Error {
        if error.kind() == ErrorKind::NotFound && self.is_removed() {
            let words = "the data directory has been removed, and its data is lost";
            io::Error::new(ErrorKind::NotFound, words)
        } else {
            error
        }
    }
}

impl Drop for OpenDir {
    fn drop(&mut self) {
        // Closing is not enough: a child process that is just being started has a copy of the
        // descriptor until it execs, and the lock with it.
        let _ = self.handle.unlock();
    }
}

/// Locks a file, unless a store has locked it.
///
/// A reader takes the lock, shared, for the moment in which it checks for a store. This waits for
/// readers, because a reader must not turn a store away.
pub(super) fn try_lock(file: &fs::File) -> Result<(), TryLockError> {
    for _ in 0..100 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) if file.try_lock_shared().is_ok() => {
                file.unlock().map_err(TryLockError::Error)?;
                thread::sleep(Duration::from_millis(1));
            }
            locked => return locked,
        }
    }
    Err(TryLockError::WouldBlock)
}

/// Ignores the error if the system refuses a change of owner or mode. Only root may change owners,
/// and some file systems have neither owners nor modes.
pub(super) fn if_allowed(changed: rustix::io::Result<()>) -> io::Result<()> {
    match changed.map_err(io::Error::from) {
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::PermissionDenied | ErrorKind::Unsupported
            ) =>
        {
            Ok(())
        }
        changed => changed,
    }
}

/// Syncs a directory. Returns [`ErrorKind::Unsupported`] if its file system cannot do that.
fn sync_names(dir: &fs::File) -> io::Result<()> {
    dir.sync_all().map_err(|error| match error.kind() {
        ErrorKind::InvalidInput | ErrorKind::Unsupported => ErrorKind::Unsupported.into(),
        _ => error,
    })
}

/// Creates a directory and its missing parents, so that they survive a power cut.
fn create_durably(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        _ => Path::new("."),
    };
    create_durably(parent)?;
    match fs::create_dir(path) {
        Err(error) if error.kind() == ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made?,
    }
    // Without this, a power cut could take the name of the new directory.
    let synced = match fs::File::open(parent) {
        Ok(parent) => sync_names(&parent),
        // The permissions of a directory may allow writing and searching, but not reading.
        Err(error) if error.kind() == ErrorKind::PermissionDenied => sync_file_system(path),
        Err(error) => Err(error),
    };
    match synced {
        // Opening the store reports this for the data directory itself.
        Err(error) if error.kind() == ErrorKind::Unsupported => Ok(()),
        synced => synced,
    }
}

/// Syncs the whole file system of a new directory, and so the name of that directory. This happens
/// once in the life of a store, and only if the directory above it cannot be opened.
#[cfg(target_os = "linux")]
fn sync_file_system(path: &Path) -> io::Result<()> {
    Ok(rustix::fs::syncfs(fs::File::open(path)?)?)
}

#[cfg(not(target_os = "linux"))]
fn sync_file_system(path: &Path) -> io::Result<()> {
    log::warn!(
        "a power cut may lose the new directory {path:?}: the directory above it cannot be read"
    );
    Ok(())
}
