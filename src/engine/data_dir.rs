//! One directory, one engine, one process: the claim on a data directory.

use std::fs::{self, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::EngineKind;
use super::files::{Directory, File};
use crate::error::{KvsError, Result};

/// The file that remembers which engine wrote a directory. Its lock says that somebody uses it.
const MARKER: &str = "kvs-engine";

/// A data directory that nobody else can claim until this is dropped, or the process ends.
#[derive(Debug)]
pub struct DataDir {
    path: PathBuf,
    /// The directory itself. It stays open: a sync that cannot open it would be a sync that failed,
    /// only because there was no descriptor to be had.
    names: fs::File,
    /// Held for its lock.
    _marker: fs::File,
}

impl DataDir {
    /// Claims the directory `path` for `engine`, and makes it where it is not there yet.
    ///
    /// # Errors
    ///
    /// [`KvsError::Locked`] where somebody has it, [`KvsError::WrongEngine`] where another engine
    /// wrote it, [`KvsError::Io`] where it cannot be made or written.
    pub fn claim(path: impl Into<PathBuf>, engine: EngineKind) -> Result<DataDir> {
        let path = path.into();
        let names = create_durably(&path)
            .and_then(|()| fs::File::open(&path))
            .map_err(KvsError::io(format_args!("use {path:?} as data directory")))?;
        let marker = path.join(MARKER);
        let mut file = lock(&path, &marker)?;
        match read_marker(&mut file, &marker)? {
            Some(found) if found != engine.format() => {
                return Err(KvsError::WrongEngine {
                    dir: path,
                    found,
                    asked: engine,
                });
            }
            Some(_) => {}
            None => {
                writeln!(file, "{}", engine.format())
                    .and_then(|()| file.sync_all())
                    .and_then(|()| names.sync_all())
                    .map_err(KvsError::io(format_args!("write {marker:?}")))?;
            }
        }
        Ok(DataDir {
            path,
            names,
            _marker: file,
        })
    }

    /// Claims a directory whose marker is damaged or gone, and gives it a new one.
    ///
    /// # Errors
    ///
    /// Those of [`claim`](DataDir::claim).
    pub fn claim_anew(path: &Path, engine: EngineKind) -> Result<DataDir> {
        let marker = path.join(MARKER);
        // Whoever has the directory open holds the lock of this file, so it is not replaced.
        let file = lock(path, &marker)?;
        file.set_len(0)
            .map_err(KvsError::io(format_args!("write {marker:?}")))?;
        drop(file);
        DataDir::claim(path, engine)
    }

    /// The engine that wrote the directory `path`, or `None` where none did.
    ///
    /// # Errors
    ///
    /// [`KvsError::Io`] where that cannot be read, [`KvsError::Damaged`] where it names no engine.
    pub fn engine_of(path: &Path) -> Result<Option<EngineKind>> {
        let marker = path.join(MARKER);
        match fs::File::open(&marker) {
            Ok(mut file) => read_marker(&mut file, &marker),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(KvsError::io(format_args!("open {marker:?}"))(error)),
        }
    }
}

impl Directory for DataDir {
    /// As it was given.
    fn path(&self) -> &Path {
        &self.path
    }

    fn list(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    fn open(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path.join(name))?;
        Ok(Arc::new(file))
    }

    fn create(&self, name: &str) -> io::Result<Arc<dyn File>> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(self.path.join(name))?;
        Ok(Arc::new(file))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        fs::rename(self.path.join(from), self.path.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        fs::remove_file(self.path.join(name))
    }

    fn sync(&self) -> io::Result<()> {
        self.names.sync_all()
    }

    /// A quota of the user may be lower; the file system does not tell.
    fn free_bytes(&self) -> io::Result<u64> {
        let stats = rustix::fs::fstatvfs(&self.names)?;
        Ok(stats.f_bavail.saturating_mul(stats.f_frsize))
    }

    /// Linux tells; elsewhere this is empty.
    fn boot(&self) -> String {
        let id = fs::read_to_string("/proc/sys/kernel/random/boot_id");
        id.map_or(String::new(), |id| id.trim_end().to_owned())
    }
}

/// Opens the marker of a directory and locks it.
fn lock(dir: &Path, marker: &Path) -> Result<fs::File> {
    let file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .open(marker)
        .map_err(KvsError::io(format_args!("open {marker:?} for writing")))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(KvsError::Locked {
            dir: dir.to_owned(),
        }),
        Err(TryLockError::Error(error)) => {
            Err(KvsError::io(format_args!("lock {marker:?}"))(error))
        }
    }
}

/// Makes a directory and those above it, where they are not there yet, to survive a power cut.
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
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => {}
        made => made?,
    }
    // Names are as durable as what is behind them only then.
    fs::File::open(parent)?.sync_all()
}

fn read_marker(file: &mut fs::File, path: &Path) -> Result<Option<EngineKind>> {
    let mut name = Vec::new();
    // A longer one is none of ours.
    file.take(100)
        .read_to_end(&mut name)
        .map_err(KvsError::io(format_args!("read {path:?}")))?;
    if name.is_empty() {
        return Ok(None);
    }
    let name = String::from_utf8_lossy(&name);
    match name.trim_end().parse::<EngineKind>() {
        Ok(engine) => Ok(Some(engine.format())),
        Err(reason) => Err(KvsError::Damaged {
            file: path.to_owned(),
            offset: 0,
            reason,
        }),
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
