//! Trying again while the previous process still ends.

use std::io::ErrorKind;
use std::thread;
use std::time::{Duration, Instant};

use failure::Error;
use kvs::KvsError;
use log::{debug, info};

use crate::cli::Result;

/// How long to wait until the previous process has released the port and the directory. It may have
/// been killed a moment ago, and the system may be busy.
pub(crate) struct Patience {
    until: Instant,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience {
            until: Instant::now() + Duration::from_secs(2),
        }
    }
}

impl Patience {
    /// Repeats the attempt while something is in use, until the time is over. Then returns the last
    /// error.
    pub(crate) fn retry<T, E: Into<Error>>(
        &self,
        mut attempt: impl FnMut() -> std::result::Result<T, E>,
    ) -> Result<T> {
        let mut waited_for = None;
        loop {
            match attempt().map_err(Into::into) {
                Err(error) if is_in_use(&error) && Instant::now() < self.until => {
                    waited_for.get_or_insert_with(|| {
                        debug!("trying again: {error}");
                        (error, Instant::now())
                    });
                    thread::sleep(Duration::from_millis(20));
                }
                result => {
                    // If the attempt fails, the error says enough.
                    if let (Ok(_), Some((error, since))) = (&result, waited_for) {
                        info!("waited {:.1?} because {error}", since.elapsed());
                    }
                    return result;
                }
            }
        }
    }
}

fn is_in_use(error: &Error) -> bool {
    match error.downcast_ref() {
        Some(KvsError::Locked { .. }) => true,
        Some(KvsError::Io { source, .. }) => source.kind() == ErrorKind::AddrInUse,
        _ => false,
    }
}
