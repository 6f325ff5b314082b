//! The errors and the panics of sled.

use std::panic::{self, AssertUnwindSafe};
use std::sync::Arc;

use crate::error::{KvsError, Result};

/// Calls sled, which panics at times. Such a panic fails only the request that met it.
pub(super) fn catch<T>(call: impl FnOnce() -> Result<T>) -> Result<T> {
    panic::catch_unwind(AssertUnwindSafe(call)).unwrap_or_else(|_| Err(KvsError::job_panicked()))
}

impl From<sled::Error> for KvsError {
    fn from(error: sled::Error) -> KvsError {
        KvsError::Sled {
            source: Arc::new(error),
        }
    }
}
