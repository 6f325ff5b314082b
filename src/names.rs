//! The names and the numbers of engines, for errors and statistics. A client knows nothing else of an
//! engine.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// How an engine is doing. What an engine does not know is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineStats {
    /// Its name, as `--engine` takes it.
    pub engine: Option<String>,
    /// When a write is done, as `--sync` takes it.
    pub sync: Option<String>,
    /// The number of keys.
    pub keys: Option<u64>,
    /// Bytes on disk that keys need.
    pub live_bytes: Option<u64>,
    /// Bytes on disk that nobody needs any more.
    pub dead_bytes: Option<u64>,
    /// The number of files that hold records.
    pub segments: Option<u64>,
    /// The time since the last compaction ended, if there was one.
    pub seconds_since_compaction: Option<u64>,
}

/// The engines by name, as `--engine` takes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EngineKind {
    /// The log-structured engine of this crate, `KvStore`.
    Kvs,
    /// The engine on sled, `SledKvsEngine`.
    Sled,
    /// The engine of this crate on `tokio::fs`, `TokioFsEngine`.
    TokioFs,
}

impl EngineKind {
    /// Every engine's name.
    pub const NAMES: [&'static str; 3] = ["kvs", "sled", "tokio-fs"];

    /// The engine whose format it is: what a data directory remembers.
    #[cfg(feature = "server")]
    pub(crate) fn format(self) -> EngineKind {
        match self {
            EngineKind::TokioFs => EngineKind::Kvs,
            itself => itself,
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            EngineKind::Kvs => "kvs",
            EngineKind::Sled => "sled",
            EngineKind::TokioFs => "tokio-fs",
        })
    }
}

impl FromStr for EngineKind {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<EngineKind, UnknownName> {
        match name {
            "kvs" => Ok(EngineKind::Kvs),
            "sled" => Ok(EngineKind::Sled),
            "tokio-fs" => Ok(EngineKind::TokioFs),
            _ => Err(UnknownName {
                name: name.to_owned(),
                kind: "engines",
                known: &EngineKind::NAMES,
            }),
        }
    }
}

/// The error for a text that names no [`EngineKind`], or no level of sync.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    pub(crate) name: String,
    pub(crate) kind: &'static str,
    pub(crate) known: &'static [&'static str],
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnknownName { name, kind, known } = self;
        write!(f, "{name:?} is none of the {kind}: {}", known.join(", "))
    }
}

impl std::error::Error for UnknownName {}
