//! The statistics of the server, for people and for programs that watch it.

use std::fmt::{self, Display, Write};

use futures::Future;
use kvs::protocol::{Request, Stats};

use crate::cli::{self, Result};
use crate::session::Session;

pub enum Format {
    Text,
    Json,
    Prometheus,
}

impl Format {
    pub fn new(json: bool, prometheus: bool) -> Format {
        if json {
            Format::Json
        } else if prometheus {
            Format::Prometheus
        } else {
            Format::Text
        }
    }
}

pub fn print(session: &Session, format: &Format) -> Result<()> {
    let stats = session.start(&Request::Stats {}).wait()?.into_stats()?;
    match format {
        Format::Text => cli::print(stats),
        Format::Json => cli::print(serde_json::to_string_pretty(&stats)?),
        Format::Prometheus => cli::print(prometheus(&stats)?.trim_end()),
    }
}

/// Returns the statistics in the text format of Prometheus, version 0.0.4.
fn prometheus(stats: &Stats) -> std::result::Result<String, fmt::Error> {
    let mut text = Metrics::default();
    text.metric("info", "gauge", "The server. The value is always 1.")?;
    let engine = &stats.engine;
    let labels = [
        ("version", &*stats.version),
        ("engine", engine.engine.as_deref().unwrap_or_default()),
        ("sync", engine.sync.as_deref().unwrap_or_default()),
    ];
    text.value("info", &labels, 1)?;
    for (name, kind, help, number) in numbers(stats) {
        // The engine does not know every number.
        if let Some(number) = number {
            text.metric(name, kind, help)?;
            text.value(name, &[], number)?;
        }
    }
    text.metric("requests_total", "counter", "The number of requests.")?;
    for (kind, n) in &stats.requests {
        text.value("requests_total", &[("kind", kind)], n)?;
    }
    text.metric("errors_total", "counter", "The number of errors.")?;
    for (code, n) in &stats.errors {
        text.value("errors_total", &[("code", code)], n)?;
    }
    let help = "The latency of requests since the server was started.";
    text.metric("latency_seconds", "gauge", help)?;
    for (kind, latency) in &stats.latencies {
        let quantiles = [
            ("0.5", latency.p50_us),
            ("0.99", latency.p99_us),
            ("1", latency.max_us),
        ];
        for (quantile, micros) in quantiles {
            let labels = [("kind", &**kind), ("quantile", quantile)];
            text.value("latency_seconds", &labels, micros as f64 / 1e6)?;
        }
    }
    Ok(text.0)
}

/// Returns the numbers without labels: each with its name, its type and its meaning.
fn numbers(stats: &Stats) -> Vec<(&'static str, &'static str, &'static str, Option<u64>)> {
    let engine = &stats.engine;
    let gauge = |name, help, number| (name, "gauge", help, number);
    let counter = |name, help, number| (name, "counter", help, Some(number));
    vec![
        gauge(
            "uptime_seconds",
            "The time since the server was started.",
            Some(stats.uptime_seconds),
        ),
        gauge(
            "connections",
            "The number of connections now.",
            Some(stats.connections),
        ),
        gauge(
            "connection_bytes",
            "The memory that connections use.",
            Some(stats.connection_bytes),
        ),
        counter(
            "connections_accepted_total",
            "The number of connections so far.",
            stats.connections_accepted,
        ),
        counter(
            "wrong_tokens_total",
            "The number of requests with a wrong token.",
            stats.wrong_tokens,
        ),
        gauge("keys", "The number of keys.", engine.keys),
        gauge(
            "live_bytes",
            "The bytes on the disk that keys need.",
            engine.live_bytes,
        ),
        gauge(
            "dead_bytes",
            "The bytes on the disk that a compaction would free.",
            engine.dead_bytes,
        ),
        gauge(
            "segments",
            "The number of files that hold records.",
            engine.segments,
        ),
        gauge(
            "compaction_age_seconds",
            "The time since the last compaction.",
            engine.seconds_since_compaction,
        ),
    ]
}

/// Metrics in the text format.
#[derive(Default)]
struct Metrics(String);

impl Metrics {
    /// Adds the head of a metric, whose values follow.
    fn metric(&mut self, name: &str, kind: &str, help: &str) -> fmt::Result {
        writeln!(self.0, "# HELP kvs_{name} {help}\n# TYPE kvs_{name} {kind}")
    }

    fn value(&mut self, name: &str, labels: &[(&str, &str)], value: impl Display) -> fmt::Result {
        write!(self.0, "kvs_{name}")?;
        let mut before = '{';
        for (label, text) in labels {
            // A server of a later version may have kinds and codes with any characters.
            let text = text.replace('\\', r"\\").replace('"', "\\\"");
            write!(self.0, "{before}{label}=\"{}\"", text.replace('\n', r"\n"))?;
            before = ',';
        }
        let after = if labels.is_empty() { "" } else { "}" };
        writeln!(self.0, "{after} {value}")
    }
}
