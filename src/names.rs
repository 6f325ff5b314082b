//! The names of engines. Errors have them, so this is all that a client knows of an engine.

use std::fmt;
use std::str::FromStr;

/// A storage engine, by name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EngineKind {
    /// The log-structured engine of this crate, `KvStore`.
    Kvs,
    /// The engine on sled, `SledKvsEngine`.
    Sled,
    /// The engine of this crate on `tokio::fs`, `TokioFsEngine`.
    TokioFs,
    /// The engine on a Redis Cluster, `ClusterEngine`. It has no data directory.
    Cluster,
}

impl EngineKind {
    /// Every engine.
    #[doc(hidden)]
    pub const ALL: [EngineKind; 4] = [
        EngineKind::Kvs,
        EngineKind::Sled,
        EngineKind::TokioFs,
        EngineKind::Cluster,
    ];

    /// Returns the name of the engine, which [`parse`](str::parse) accepts.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            EngineKind::Kvs => "kvs",
            EngineKind::Sled => "sled",
            EngineKind::TokioFs => "tokio-fs",
            EngineKind::Cluster => "cluster",
        }
    }

    /// Returns the engine that defines the format. A data directory remembers that one.
    #[cfg(feature = "server")]
    pub(crate) fn format(self) -> EngineKind {
        match self {
            // The two engines open each other's directories.
            EngineKind::TokioFs => EngineKind::Kvs,
            itself => itself,
        }
    }
}

impl fmt::Display for EngineKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for EngineKind {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<EngineKind, UnknownName> {
        find(name, "engines", &EngineKind::ALL, EngineKind::as_str)
    }
}

/// Returns the item of `all` that is called `name`. `kind` names the items in the error.
pub(crate) fn find<T: Copy>(
    name: &str,
    kind: &'static str,
    all: &[T],
    as_str: fn(T) -> &'static str,
) -> Result<T, UnknownName> {
    let all = || all.iter().copied();
    let found = all().find(|item| as_str(*item) == name);
    found.ok_or_else(|| UnknownName {
        name: name.to_owned(),
        kind,
        known: all().map(as_str).collect(),
    })
}

/// The error for a text that names no [`EngineKind`], or no sync level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownName {
    name: String,
    kind: &'static str,
    known: Vec<&'static str>,
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let UnknownName { name, kind, known } = self;
        write!(f, "{name:?} is none of the {kind}: {}", known.join(", "))
    }
}

impl std::error::Error for UnknownName {}
