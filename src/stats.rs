//! The statistics of a server and of its engine, as plain data.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// The statistics of a server since it was started.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stats {
    /// The version of the server.
    pub version: String,
    /// The time since the server was started.
    pub uptime_seconds: u64,
    /// The number of connections now.
    pub connections: u64,
    /// The number of connections so far.
    pub connections_accepted: u64,
    /// The number of requests with a wrong token.
    pub wrong_tokens: u64,
    /// The memory in bytes that connections use.
    pub connection_bytes: u64,
    /// The number of requests of each kind.
    pub requests: BTreeMap<String, u64>,
    /// The number of errors of each code.
    pub errors: BTreeMap<String, u64>,
    /// The latencies of the requests of each kind that was answered. Older servers send none.
    #[serde(default)]
    pub latencies: BTreeMap<String, Latency>,
    /// The statistics of the engine.
    pub engine: EngineStats,
}

impl fmt::Display for Stats {
    /// Writes lines for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let engine = &self.engine;
        let text = |text: &Option<String>| text.clone().unwrap_or_else(|| "unknown".to_owned());
        let number = |number: Option<u64>| number.map_or("unknown".to_owned(), |n| n.to_string());
        writeln!(f, "version: {}", self.version)?;
        writeln!(f, "uptime: {} s", self.uptime_seconds)?;
        writeln!(
            f,
            "connections: {} now, {} in all, {} bytes, {} wrong tokens",
            self.connections, self.connections_accepted, self.connection_bytes, self.wrong_tokens
        )?;
        for (title, counts) in [("requests", &self.requests), ("errors", &self.errors)] {
            let counts: Vec<_> = counts
                .iter()
                .map(|(name, n)| format!("{name} {n}"))
                .collect();
            let counts = match &counts[..] {
                [] => "none".to_owned(),
                counts => counts.join(", "),
            };
            writeln!(f, "{title}: {counts}")?;
        }
        for (kind, latency) in &self.latencies {
            let Latency {
                p50_us,
                p99_us,
                max_us,
                ..
            } = latency;
            writeln!(
                f,
                "latency of {kind}: p50 {p50_us} us, p99 {p99_us} us, max {max_us} us"
            )?;
        }
        writeln!(
            f,
            "engine: {}, sync {}",
            text(&engine.engine),
            text(&engine.sync)
        )?;
        if let Some(cluster) = &engine.cluster {
            return cluster.fmt(f);
        }
        writeln!(f, "keys: {}", number(engine.keys))?;
        writeln!(
            f,
            "bytes: {} live, {} dead, in {} segments",
            number(engine.live_bytes),
            number(engine.dead_bytes),
            number(engine.segments)
        )?;
        match engine.seconds_since_compaction {
            Some(seconds) => write!(f, "last compaction: {seconds} s ago"),
            None => write!(f, "last compaction: none"),
        }
    }
}

/// The latencies of requests, from the moment at which the server begins with a request to the
/// moment at which it has the reply.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Latency {
    /// The number of requests.
    pub count: u64,
    /// The latency in microseconds that half of the requests did not exceed.
    pub p50_us: u64,
    /// The latency in microseconds that 99 of 100 requests did not exceed.
    pub p99_us: u64,
    /// The highest latency, in microseconds.
    pub max_us: u64,
}

/// The statistics of an engine. A number that the engine does not know is `None`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct EngineStats {
    /// The name of the engine, such as `kvs`.
    pub engine: Option<String>,
    /// The name of the sync level, such as `everysec`.
    pub sync: Option<String>,
    /// The number of keys.
    pub keys: Option<u64>,
    /// The bytes on disk that the keys and their values need.
    pub live_bytes: Option<u64>,
    /// The bytes on disk that a compaction would free.
    pub dead_bytes: Option<u64>,
    /// The number of files that hold records.
    pub segments: Option<u64>,
    /// The time since the last compaction ended, if there was one.
    pub seconds_since_compaction: Option<u64>,
    /// The cluster that has the pairs, if the engine has none itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterStats>,
}

/// The statistics of an engine on a cluster.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ClusterStats {
    /// The addresses of the masters.
    pub masters: Vec<String>,
    /// The number of slots that have a master, of 16,384.
    pub slots: u64,
    /// The number of batches that were sent.
    pub batches: u64,
    /// The number of requests that a node has sent elsewhere.
    pub redirections: u64,
}

impl fmt::Display for ClusterStats {
    /// Writes a line for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ClusterStats {
            masters,
            slots,
            batches,
            redirections,
        } = self;
        let masters = masters.join(", ");
        write!(
            f,
            "cluster: {slots} slots on {masters}, {batches} batches, {redirections} redirections"
        )
    }
}
