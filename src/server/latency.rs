//! The latencies of requests, by kind.
//!
//! A latency begins with the turn that starts the request, and ends with the turn that collects its
//! reply. So the clock is read twice in a turn, and not for each request.

use std::collections::BTreeMap;
use std::time::Instant;

use hdrhistogram::Histogram;
use parking_lot::Mutex;

use crate::protocol::Kind;
use crate::stats::Latency;

/// The significant digits of a latency.
const DIGITS: u8 = 2;

/// The number of runs for which a connection keeps memory between its turns.
const KEPT: usize = 16;

/// The latencies since the server was started, in microseconds.
#[derive(Debug)]
pub(super) struct Latencies([Mutex<Histogram<u64>>; Kind::ALL.len()]);

impl Default for Latencies {
    fn default() -> Latencies {
        Latencies(Kind::ALL.map(|_| {
            let histogram = Histogram::new(DIGITS).expect("the digits are few");
            Mutex::new(histogram)
        }))
    }
}

impl Latencies {
    /// Records the requests that were answered in the turn that ends now.
    pub(super) fn record(&self, answered: &mut Answered) {
        if answered.0.is_empty() {
            return;
        }
        let now = Instant::now();
        for Run { kind, since, n } in answered.0.drain(..) {
            let micros = now.duration_since(since).as_micros() as u64;
            let recorded = self.0[kind as usize].lock().record_n(micros, n);
            recorded.expect("a histogram without an upper bound grows");
        }
        // The connection may be idle from now on.
        answered.0.shrink_to(KEPT);
    }

    /// Returns the latencies of each kind that has any.
    pub(super) fn summary(&self) -> BTreeMap<String, Latency> {
        let recorded = Kind::ALL.iter().zip(&self.0);
        recorded
            .map(|(kind, histogram)| (kind, histogram.lock()))
            .filter(|(_, histogram)| !histogram.is_empty())
            .map(|(kind, histogram)| {
                let latency = Latency {
                    count: histogram.len(),
                    p50_us: histogram.value_at_quantile(0.5),
                    p99_us: histogram.value_at_quantile(0.99),
                    max_us: histogram.max(),
                };
                (kind.to_string(), latency)
            })
            .collect()
    }
}

/// The requests that one connection has answered in this turn. Neighbours of one kind that started
/// in one turn are a run, because a pipeline has many of them.
#[derive(Debug, Default)]
pub(super) struct Answered(Vec<Run>);

#[derive(Debug)]
struct Run {
    kind: Kind,
    since: Instant,
    n: u64,
}

impl Answered {
    /// Adds a request that was started in the turn that began at `since`.
    pub(super) fn add(&mut self, kind: Kind, since: Instant) {
        match self.0.last_mut() {
            Some(run) if run.kind == kind && run.since == since => run.n += 1,
            _ => self.0.push(Run { kind, since, n: 1 }),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn after_a_turn_a_connection_keeps_memory_for_few_runs() {
        let mut answered = Answered::default();
        for _ in 0..1000 {
            answered.add(Kind::Get, Instant::now());
            answered.add(Kind::Set, Instant::now());
        }
        Latencies::default().record(&mut answered);
        assert!(answered.0.capacity() <= KEPT);
    }

    #[test]
    fn each_answered_request_is_counted_once_with_the_time_since_its_turn() {
        let latencies = Latencies::default();
        let mut answered = Answered::default();
        let now = Instant::now();
        let long_ago = now.checked_sub(Duration::from_secs(10)).unwrap();
        for _ in 0..99 {
            answered.add(Kind::Get, now);
        }
        answered.add(Kind::Get, long_ago);
        answered.add(Kind::Set, long_ago);
        latencies.record(&mut answered);
        latencies.record(&mut answered);
        let summary = latencies.summary();
        let (get, set) = (&summary["Get"], &summary["Set"]);
        assert_eq!((get.count, set.count, summary.len()), (100, 1, 2));
        assert!(get.p50_us < 1_000_000, "{get:?}");
        assert!((9_900_000..12_000_000).contains(&get.max_us), "{get:?}");
        assert!((9_900_000..12_000_000).contains(&set.p50_us), "{set:?}");
    }
}
