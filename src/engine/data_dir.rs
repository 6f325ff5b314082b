//! One directory, one engine, one process: the claim on a data directory.

use std::fs::{self, TryLockError};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use log::warn;
use rustix::fs::{Gid, OFlags, Uid};

use super::EngineKind;
use super::files::{Directory, File};
use super::open_dir::{OpenDir, if_allowed, try_lock};
use crate::error::{KvsError, Result};

/// The file that remembers which engine wrote a directory.
const MARKER: &str = "kvs-engine";

/// A data directory that nobody else can claim until this is dropped, or the process ends.
///
/// The claim is on the directory and not on its path. If the directory is moved, or another one
/// takes its place, the claim and all files opened through it stay with the claimed directory.
#[derive(Debug)]
pub struct DataDir {
    /// This lock decides: an open directory cannot be replaced by another one.
    dir: OpenDir,
    /// Locked as well, because older versions check only this lock.
    marker: fs::File,
    /// The owner of the files. If root creates one, this user must be able to open it.
    owner: (Uid, Gid),
}

impl DataDir {
    /// Claims the directory `path` for `engine`, and creates it if it does not exist.
    ///
    /// # Errors
    ///
    /// [`KvsError::Locked`] if another store uses the directory, [`KvsError::WrongEngine`] if
    /// another engine wrote it, [`KvsError::Io`] if it cannot be created or written.
    pub fn claim(path: impl Into<PathBuf>, engine: EngineKind) -> Result<DataDir> {
        let mut dir = DataDir::lock(&path.into())?;
        match engine_in(&dir.dir, &dir.marker)? {
            Some(found) if found != engine.format() => {
                return Err(KvsError::WrongEngine {
                    dir: dir.dir.path().to_owned(),
                    found,
                    asked: engine,
                });
            }
            _ => dir.mark(engine)?,
        }
        Ok(dir)
    }

    /// Claims a directory whose marker is damaged or gone, and gives it a new one.
    ///
    /// # Errors
    ///
    /// Those of [`claim`](DataDir::claim).
    pub fn claim_anew(path: &Path, engine: EngineKind) -> Result<DataDir> {
        let mut dir = DataDir::lock(path)?;
        dir.marker.set_len(0).map_err(dir.cannot("write"))?;
        dir.mark(engine)?;
        Ok(dir)
    }

    /// Returns the engine that wrote the directory `path`, or `None` if it holds no data. If the
    /// marker is missing, recognizes the engine by its files.
    ///
    /// # Errors
    ///
    /// [`KvsError::Io`] if the directory cannot be read, [`KvsError::Damaged`] if the marker names
    /// no engine.
    pub fn engine_of(path: &Path) -> Result<Option<EngineKind>> {
        let failed = |error| KvsError::io(format_args!("open {path:?}"))(error);
        let dir = match OpenDir::open(path, false) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            opened => opened.map_err(failed)?,
        };
        match dir.open_file(MARKER, OFlags::RDONLY) {
            Ok(marker) => engine_in(&dir, &marker),
            Err(error) if error.kind() == ErrorKind::NotFound => engine_of_files(&dir),
            Err(error) => Err(cannot("open", &dir)(error)),
        }
    }

    /// Locks the directory and opens its marker. Creates both if they do not exist.
    fn lock(path: &Path) -> Result<DataDir> {
        let dir = OpenDir::open(path, true);
        DataDir::lock_opened(
            dir.map_err(KvsError::io(format_args!("use {path:?} as data directory")))?,
        )
    }

    fn lock_opened(dir: OpenDir) -> Result<DataDir> {
        match dir.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(&dir)),
            Err(TryLockError::Error(error)) => warn!(
                "the file system cannot lock {:?}: {error}; the lock on {MARKER:?} keeps a second server out, so do not remove or replace that file",
                dir.path()
            ),
        }
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW;
        let open = || dir.open_file(MARKER, flags);
        let mut marker = open().map_err(cannot("open", &dir))?;
        if is_shared(&marker) {
            // If the directory is a copy made of hard links, it shares the marker and its lock with
            // the original.
            part(&dir, MARKER, &marker).map_err(cannot("write", &dir))?;
            marker = open().map_err(cannot("open", &dir))?;
        }
        match try_lock(&marker) {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(locked(&dir)),
            Err(TryLockError::Error(error)) => return Err(cannot("lock", &dir)(error)),
        }
        let owner = owner_of(&marker).map_err(cannot("look at", &dir))?;
        Ok(DataDir { dir, marker, owner })
    }

    /// Writes the engine into an empty marker.
    fn mark(&mut self, engine: EngineKind) -> Result<()> {
        let is_marked = self.marker.size().map_err(self.cannot("look at"))? > 0;
        if is_marked {
            return Ok(());
        }
        let write = || {
            let owner = owner_of(self.dir.names())?;
            give(&self.marker, owner)?;
            writeln!(&self.marker, "{}", engine.format())?;
            self.marker.sync_all()?;
            match self.dir.sync() {
                // Opening the store reports it.
                Err(error) if error.kind() == ErrorKind::Unsupported => {}
                synced => synced?,
            }
            owner_of(&self.marker)
        };
        self.owner = write().map_err(self.cannot("write"))?;
        Ok(())
    }

    fn cannot(&self, act: &str) -> impl FnOnce(io::Error) -> KvsError + use<> {
        cannot(act, &self.dir)
    }

    /// Returns a path for code that takes no descriptor. The path leads to this directory until
    /// `self` is dropped, even if the directory is moved. Only Linux has such a path. Elsewhere,
    /// returns the path that the directory had when it was claimed.
    #[cfg(feature = "sled")]
    pub(super) fn path_of_descriptor(&self) -> PathBuf {
        self.dir.path_of_descriptor()
    }

    /// Replaces each file that has other names, which may be in a copy of the directory, by a copy. For
    /// code that writes to files without looking.
    #[cfg(feature = "sled")]
    pub(super) fn part_files(&self) -> io::Result<()> {
        for name in self.dir.list()? {
            let file = self.dir.open_file(&name, OFlags::RDONLY)?;
            if file.metadata()?.is_file() && is_shared(&file) {
                part(&self.dir, &name, &file)?;
            }
        }
        Ok(())
    }

    /// Opens the file `name` for reading and writing.
    pub(super) fn open_file(&self, name: &str) -> io::Result<fs::File> {
        self.dir.open_file(name, OFlags::RDWR)
    }

    /// Creates the file `name` for the owner of the directory's files.
    pub(super) fn create_file(&self, name: &str) -> io::Result<fs::File> {
        let file = self.dir.create_file(name)?;
        give(&file, self.owner)?;
        Ok(file)
    }
}

impl Drop for DataDir {
    fn drop(&mut self) {
        // Closing is not enough: a child process that is just being started has a copy of the
        // descriptor until it execs, and the lock with it.
        let _ = self.marker.unlock();
    }
}

impl Directory for DataDir {
    /// Returns the absolute path that the directory had when it was claimed.
    fn path(&self) -> &Path {
        self.dir.path()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.dir.list()
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(self.open_file(name)?))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(self.create_file(name)?))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.dir.rename(from, to)
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.dir.remove(name)
    }

    fn copy_access(&self, from: &str, to: &str) -> io::Result<()> {
        self.dir.copy_access(from, to)
    }

    fn sync(&self) -> io::Result<()> {
        self.dir.sync()
    }

    /// Does not know the quota of the user, which may leave less.
    fn free_bytes(&self) -> io::Result<u64> {
        let stats = rustix::fs::fstatvfs(self.dir.names())?;
        let free = stats.f_bavail.saturating_mul(stats.f_frsize);
        let longest_file = rustix::process::getrlimit(rustix::process::Resource::Fsize).current;
        Ok(longest_file.map_or(free, |longest| free.min(longest)))
    }

    fn boot(&self) -> String {
        boot()
    }
}

/// A data directory that is opened for reading only, and not claimed.
///
/// It can belong to another user, or be on a file system that is mounted read-only.
#[derive(Debug)]
pub struct ReadOnlyDir(OpenDir);

impl ReadOnlyDir {
    /// Opens the directory `path`.
    ///
    /// # Errors
    ///
    /// [`KvsError::Locked`] if a store uses it, [`KvsError::Io`] if it cannot be opened.
    pub fn open(path: &Path) -> Result<ReadOnlyDir> {
        let dir = OpenDir::open(path, false);
        let dir = ReadOnlyDir(dir.map_err(KvsError::io(format_args!("open {path:?}")))?);
        dir.check_unused()?;
        Ok(dir)
    }

    /// Checks that no store has claimed the directory meanwhile.
    ///
    /// # Errors
    ///
    /// [`KvsError::Locked`] if a store has.
    pub fn check_unused(&self) -> Result<()> {
        let is_used = is_locked(self.0.names())
            // An older version locks only the marker.
            || self
                .0
                .open_file(MARKER, OFlags::RDONLY)
                .is_ok_and(|marker| !is_shared(&marker) && is_locked(&marker));
        if is_used {
            Err(locked(&self.0))
        } else {
            Ok(())
        }
    }
}

impl Directory for ReadOnlyDir {
    fn path(&self) -> &Path {
        self.0.path()
    }

    fn list(&self) -> io::Result<Vec<String>> {
        self.0.list()
    }

    /// Opens a file for reading only.
    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        Ok(Arc::new(self.0.open_file(name, OFlags::RDONLY)?))
    }

    fn create(&self, _: &str) -> io::Result<Arc<dyn File>> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn rename(&self, _: &str, _: &str) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn remove(&self, _: &str) -> io::Result<()> {
        Err(ErrorKind::ReadOnlyFilesystem.into())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn boot(&self) -> String {
        boot()
    }
}

/// Returns the identifier of the current boot on Linux, and an empty string elsewhere.
fn boot() -> String {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
    id.map_or(String::new(), |id| id.trim_end().to_owned())
}

fn locked(dir: &OpenDir) -> KvsError {
    KvsError::Locked {
        dir: dir.path().to_owned(),
    }
}

/// Makes a function for `map_err`, for when the program cannot `act` on the marker.
fn cannot(act: &str, dir: &OpenDir) -> impl FnOnce(io::Error) -> KvsError + use<> {
    let marker = dir.path().join(MARKER);
    KvsError::io(format!("{act} {marker:?}"))
}

/// Returns whether another process or another store holds the lock of `file`. Tries to take the
/// lock, shared, so that two processes that check at the same time do not take each other for a
/// store.
fn is_locked(file: &fs::File) -> bool {
    let locked = file.try_lock_shared();
    let _ = file.unlock();
    matches!(locked, Err(TryLockError::WouldBlock))
}

/// Returns whether a file has other names, such as in a copy of the directory.
fn is_shared(file: &fs::File) -> bool {
    file.metadata().is_ok_and(|metadata| metadata.nlink() > 1)
}

/// Replaces the file `name`, which has other names, by a copy that has only this name.
fn part(dir: &OpenDir, name: &str, mut file: &fs::File) -> io::Result<()> {
    let unfinished = format!("{name}.unfinished");
    let mut copy = dir.create_file(&unfinished)?;
    io::copy(&mut file, &mut copy)?;
    copy.sync_all()?;
    dir.copy_access(name, &unfinished)?;
    dir.rename(&unfinished, name)
}

fn owner_of(file: &fs::File) -> io::Result<(Uid, Gid)> {
    let metadata = file.metadata()?;
    Ok((Uid::from_raw(metadata.uid()), Gid::from_raw(metadata.gid())))
}

/// Makes `owner` the owner of a new file. Only root can do that, and only root has to.
fn give(file: &fs::File, owner: (Uid, Gid)) -> io::Result<()> {
    let (user, group) = owner;
    if owner_of(file)?.0 == user {
        return Ok(());
    }
    if_allowed(rustix::fs::fchown(file, Some(user), Some(group)))
}

/// Returns the engine that the marker names. If the marker is empty, recognizes the engine by its
/// files.
fn engine_in(dir: &OpenDir, marker: &fs::File) -> Result<Option<EngineKind>> {
    let mut name = Vec::new();
    // A longer one is none of ours.
    marker
        .take(100)
        .read_to_end(&mut name)
        .map_err(cannot("read", dir))?;
    if name.is_empty() {
        return engine_of_files(dir);
    }
    let name = String::from_utf8_lossy(&name);
    match name.trim_end().parse::<EngineKind>() {
        Ok(engine) => Ok(Some(engine.format())),
        Err(error) => Err(KvsError::Damaged {
            file: dir.path().join(MARKER),
            offset: 0,
            reason: error.to_string(),
        }),
    }
}

/// Returns the engine whose files are in a directory. A directory that has lost its marker must not
/// count as new, because another engine would not find the data.
fn engine_of_files(dir: &OpenDir) -> Result<Option<EngineKind>> {
    let names = dir.list();
    let names = names.map_err(KvsError::io(format_args!("list {:?}", dir.path())))?;
    let has = |name: &str| names.iter().any(|found| found == name);
    if names.iter().any(|name| name.ends_with(".segment")) {
        Ok(Some(EngineKind::Kvs))
    } else if has("db") && has("conf") {
        Ok(Some(EngineKind::Sled))
    } else {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_remembers_its_engine() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(DataDir::engine_of(dir.path()).unwrap(), None);
        drop(DataDir::claim(dir.path(), EngineKind::Sled).unwrap());
        let found = DataDir::engine_of(dir.path()).unwrap();
        assert_eq!(found, Some(EngineKind::Sled));
        let claim = DataDir::claim(dir.path(), EngineKind::Kvs);
        assert!(matches!(claim, Err(KvsError::WrongEngine { .. })));
        DataDir::claim(dir.path(), EngineKind::Sled).unwrap();
    }

    #[test]
    fn a_directory_of_kvs_is_one_of_tokio_fs_whichever_name_is_in_it() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["kvs", "tokio-fs"] {
            fs::write(dir.path().join(MARKER), name).unwrap();
            let found = DataDir::engine_of(dir.path()).unwrap();
            assert_eq!(found, Some(EngineKind::Kvs));
            drop(DataDir::claim(dir.path(), EngineKind::TokioFs).unwrap());
            drop(DataDir::claim(dir.path(), EngineKind::Kvs).unwrap());
        }
    }

    #[test]
    fn a_claimed_directory_is_refused_until_it_is_let_go() {
        let dir = tempfile::tempdir().unwrap();
        let first = DataDir::claim(dir.path(), EngineKind::Kvs).unwrap();
        let second = DataDir::claim(dir.path(), EngineKind::Kvs);
        assert!(matches!(second, Err(KvsError::Locked { .. })));
        drop(first);
        DataDir::claim(dir.path(), EngineKind::Kvs).unwrap();
    }

    #[test]
    fn an_earlier_version_which_locks_the_marker_alone_is_refused_and_noticed() {
        let path = tempfile::tempdir().unwrap();
        drop(DataDir::claim(path.path(), EngineKind::Kvs).unwrap());
        let marker = fs::File::open(path.path().join(MARKER)).unwrap();
        marker.try_lock().unwrap();
        let claim = DataDir::claim(path.path(), EngineKind::Kvs);
        assert!(matches!(claim, Err(KvsError::Locked { .. })));
        let read = ReadOnlyDir::open(path.path());
        assert!(matches!(read, Err(KvsError::Locked { .. })));
        marker.unlock().unwrap();
        let _claim = DataDir::claim(path.path(), EngineKind::Kvs).unwrap();
        assert!(matches!(marker.try_lock(), Err(TryLockError::WouldBlock)));
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_directory_that_cannot_be_locked_has_the_lock_of_its_marker() {
        let path = tempfile::tempdir().unwrap();
        drop(DataDir::claim(path.path(), EngineKind::Kvs).unwrap());
        let lock = || DataDir::lock_opened(OpenDir::open_unlockable(path.path()).unwrap());
        let first = lock().unwrap();
        assert!(matches!(lock(), Err(KvsError::Locked { .. })));
        drop(first);
        lock().unwrap();
    }

    /// Until it execs, a child process has such a copy of every descriptor.
    #[test]
    fn a_lock_ends_with_its_claim_although_others_have_copies_of_its_descriptors() {
        let path = tempfile::tempdir().unwrap();
        let claim = DataDir::claim(path.path(), EngineKind::Kvs).unwrap();
        let names = claim.dir.names().try_clone().unwrap();
        let marker = claim.marker.try_clone().unwrap();
        drop(claim);
        drop(DataDir::claim(path.path(), EngineKind::Kvs).unwrap());
        drop((names, marker));
    }

    #[test]
    fn a_marker_that_names_no_engine_is_damage() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(MARKER), "kv\n").unwrap();
        let claim = DataDir::claim(dir.path(), EngineKind::Kvs);
        assert!(matches!(claim, Err(KvsError::Damaged { .. })));
    }

    #[test]
    fn a_marker_cut_off_before_its_first_byte_claims_nothing() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join(MARKER), "").unwrap();
        DataDir::claim(dir.path(), EngineKind::Sled).unwrap();
    }
}
