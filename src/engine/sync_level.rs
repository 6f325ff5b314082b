//! The moment at which a write completes.

use std::fmt;
use std::str::FromStr;

use crate::names::{self, UnknownName};

/// The moment at which a write completes, and so the failures that an acknowledged write survives:
/// the death of the process, or a power cut.
///
/// `SledKvsEngine` promises the same, except that with [`SyncLevel::Always`] a power cut may lose
/// values of more than about 128 KiB, which sled keeps in files that it does not sync.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum SyncLevel {
    /// A write completes when it is on the disk. No failure loses an acknowledged write.
    Always,
    /// A write completes when the operating system has it, and is on the disk about a second later.
    /// A kill of the process loses nothing. A power cut loses at most that second.
    #[default]
    EverySec,
    /// A write completes when the operating system has it. The system decides when it writes to the
    /// disk.
    Never,
}

impl SyncLevel {
    /// Every level.
    #[doc(hidden)]
    pub const ALL: [SyncLevel; 3] = [SyncLevel::Always, SyncLevel::EverySec, SyncLevel::Never];

    /// Returns the name of the level, which [`parse`](str::parse) accepts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            SyncLevel::Always => "always",
            SyncLevel::EverySec => "everysec",
            SyncLevel::Never => "never",
        }
    }
}

impl fmt::Display for SyncLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for SyncLevel {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<SyncLevel, UnknownName> {
        names::find(name, "levels", &SyncLevel::ALL, SyncLevel::as_str)
    }
}
