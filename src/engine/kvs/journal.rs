//! Log lines that wait until no lock is held.
//!
//! A logger is the user's code. It may take its time, call the store, or drop its last handle.

use std::fmt::Display;
use std::mem;
use std::panic;
use std::sync::Arc;

use log::Level;

use crate::sync::Mutex;

/// The lines that are still to be written. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<(Level, String)>>>);

impl Journal {
    pub(crate) fn note(&self, level: Level, line: impl Display) {
        let line = line.to_string();
        self.0.lock().push((level, line));
    }

    pub(crate) fn warn(&self, line: impl Display) {
        self.note(Level::Warn, line);
    }

    /// Passes the lines to the logger. The caller holds no lock and does not have the writer's
    /// turn.
    pub(crate) fn write_out(&self) {
        let lines = mem::take(&mut *self.0.lock());
        for (level, line) in lines {
            // The panic hook has reported the panic. It must not spread, since a drop may have
            // called us.
            let _ = panic::catch_unwind(|| log::log!(level, "{line}"));
        }
    }
}
