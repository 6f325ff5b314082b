//! The state after an error that only opening the store again can mend.

use std::sync::{Arc, OnceLock};

use log::Level;

use crate::engine::kvs::journal::Journal;
use crate::error::{KvsError, Result};

/// Why nothing more may be written, once that is so: the log is in a state that only opening it
/// again can make sure of.
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

    /// Stops all writing. The first reason stays.
    pub(crate) fn set(&self, reason: impl ToString) {
        let reason = self.reason.get_or_init(|| reason.to_string());
        let line = format_args!("no more writes until the store is opened again: {reason}");
        self.journal.note(Level::Error, line);
    }

    pub(crate) fn check(&self) -> Result<()> {
        match self.reason.get() {
            Some(reason) => Err(KvsError::EngineStopped {
                reason: reason.clone(),
            }),
            None => Ok(()),
        }
    }
}
