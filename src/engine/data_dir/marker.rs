//! The marker: the file in a data directory that names the engine of the data.

use std::fs;
use std::io::{self, ErrorKind, Read};

use rustix::fs::OFlags;

use super::access::{is_shared, unshare};
use crate::engine::EngineKind;
use crate::engine::open_dir::OpenDir;
use crate::error::{KvsError, Result};

/// The name of the marker.
pub(super) const NAME: &str = "kvs-engine";

/// Opens the marker for writing, and creates it if it does not exist.
pub(super) fn open(dir: &OpenDir) -> Result<fs::File> {
    let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::NOFOLLOW;
    let open = || dir.open_file(NAME, flags).map_err(cannot("open", dir));
    let marker = open()?;
    if !is_shared(&marker) {
        return Ok(marker);
    }
    // If the directory is a copy made of hard links, it shares the marker and its lock with the
    // original.
    unshare(dir, NAME, &marker).map_err(cannot("write", dir))?;
    open()
}

/// Returns the engine that wrote `dir`, or `None` if it holds no data. If the marker is missing,
/// recognizes the engine by its files.
pub(super) fn engine_of(dir: &OpenDir) -> Result<Option<EngineKind>> {
    match dir.open_file(NAME, OFlags::RDONLY) {
        Ok(marker) => engine_in(dir, &marker),
        Err(error) if error.kind() == ErrorKind::NotFound => engine_of_files(dir),
        Err(error) => Err(cannot("open", dir)(error)),
    }
}

/// Returns the engine that the marker names. If the marker is empty, recognizes the engine by its
/// files.
pub(super) fn engine_in(dir: &OpenDir, marker: &fs::File) -> Result<Option<EngineKind>> {
    let mut name = Vec::new();
    // No name is longer. A damaged marker may be.
    let read = marker.take(100).read_to_end(&mut name);
    read.map_err(cannot("read", dir))?;
    if name.is_empty() {
        return engine_of_files(dir);
    }
    let name = String::from_utf8_lossy(&name);
    match name.trim_end().parse::<EngineKind>() {
        Ok(engine) => Ok(Some(engine.format())),
        Err(error) => Err(KvsError::Damaged {
            file: dir.path().join(NAME),
            offset: 0,
            reason: error.to_string(),
        }),
    }
}

/// Returns the engine whose files are in a directory. A directory without a marker must not count
/// as new if it has such files, because another engine would not find the data.
pub(super) fn engine_of_files(dir: &OpenDir) -> Result<Option<EngineKind>> {
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

/// Returns a function for `map_err`: the error that the program cannot `act` on the marker.
pub(super) fn cannot(act: &str, dir: &OpenDir) -> impl FnOnce(io::Error) -> KvsError + use<> {
    let marker = dir.path().join(NAME);
    KvsError::io(format!("{act} {marker:?}"))
}
