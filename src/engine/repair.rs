//! Verifying and repairing a data directory that no store uses.
//!
//! The work on the log is in [`KvStore`](super::KvStore)'s engine. This module decides which
//! directories it may work on.

use std::path::Path;

use super::{DataDir, EngineKind, Progress, ReadOnlyDir, Report, repair, verify};
use crate::error::{KvsError, Result};

/// Reads every byte of the data directory `path` and reports the damage. Changes nothing, and needs
/// only the permission to read.
///
/// # Errors
///
/// [`KvsError::NoLog`] if no engine with the format of [`KvStore`](super::KvStore) wrote the
/// directory, [`KvsError::Damaged`] if the file that names the engine is damaged.
/// [`KvsError::Locked`] if a store uses the directory or has started meanwhile. Those of
/// [`verify`].
pub fn verify_dir(path: &Path, progress: Progress<'_>) -> Result<Report> {
    let Some(EngineKind::Kvs) = DataDir::engine_of(path)? else {
        return Err(no_log(path));
    };
    let dir = ReadOnlyDir::open(path)?;
    let report = verify(&dir, progress);
    // This error comes first, because a store that has started meanwhile looks like damage.
    dir.check_unused()?;
    report
}

/// Saves the sound records of the data directory `path`, and reports the losses. Keeps the damaged
/// files under other names. A damaged marker, the file that names the engine, is written again.
///
/// # Errors
///
/// [`KvsError::NoLog`] if no engine with the format of [`KvStore`](super::KvStore) wrote the
/// directory, [`KvsError::Locked`] if a store uses it. Those of [`repair()`].
pub fn repair_dir(path: &Path, progress: Progress<'_>) -> Result<Repaired> {
    let (dir, has_new_marker) = match DataDir::engine_of(path) {
        Ok(Some(EngineKind::Kvs)) => (DataDir::claim(path, EngineKind::Kvs)?, false),
        // The marker names no engine, but the files do.
        Err(KvsError::Damaged { .. })
            if DataDir::engine_of_files(path)? == Some(EngineKind::Kvs) =>
        {
            (DataDir::claim_anew(path, EngineKind::Kvs)?, true)
        }
        Err(error) => return Err(error),
        Ok(_) => return Err(no_log(path)),
    };
    let report = repair(&dir, progress)?;
    Ok(Repaired {
        report,
        has_new_marker,
    })
}

/// The outcome of [`repair_dir`].
#[derive(Debug)]
#[non_exhaustive]
pub struct Repaired {
    /// The damage that was found in the log, and its cost.
    pub report: Report,
    /// Whether the file that names the engine was damaged, and was written again.
    pub has_new_marker: bool,
}

fn no_log(path: &Path) -> KvsError {
    KvsError::NoLog {
        dir: path.to_owned(),
    }
}
