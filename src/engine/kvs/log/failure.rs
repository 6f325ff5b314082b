//! The state after an error that only opening the store again can mend. Other stores call this a
//! poisoned database.

use std::sync::{Arc, OnceLock};

use log::Level;

use crate::engine::kvs::journal::Journal;
use crate::error::{KvsError, Result};

/// The reason why the log takes no more writes, once there is one.
///
/// After a failed sync it is unknown which bytes are on the disk, and another sync would not help:
/// the system may have forgotten the bytes that it could not write. So there is no second try.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    reason: Arc<OnceLock<String>>,
    /// For the line about the failure, and for all other lines while the log is in use.
    pub(crate) journal: Journal,
}

impl Failure {
    pub(crate) fn new(journal: Journal) -> Failure {
        Failure {
            reason: Arc::default(),
            journal,
        }
    }

    /// Stops all writing. If it was stopped before, the first reason stays.
    pub(crate) fn set(&self, reason: impl ToString) {
        // Threads may fail at the same time. Writers and log lines all get the first reason.
        let reason = self.reason.get_or_init(|| reason.to_string());
        let line = format_args!("no more writes until the store is opened again: {reason}");
        self.journal.note(Level::Error, line);
    }

    /// Returns an error if writing was stopped.
    pub(crate) fn check(&self) -> Result<()> {
        match self.reason.get() {
            Some(reason) => Err(KvsError::EngineStopped {
                reason: reason.clone(),
            }),
            None => Ok(()),
        }
    }
}
