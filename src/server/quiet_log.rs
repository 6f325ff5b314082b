//! Warnings that a hostile peer cannot fill a disk with.

use std::fmt;
use std::time::{Duration, Instant};

use log::warn;
use parking_lot::Mutex;

/// Lines in one [`PERIOD`].
const LINES: u32 = 20;
const PERIOD: Duration = Duration::from_secs(1);

/// Writes so many warnings a second and counts the others.
#[derive(Debug)]
pub(super) struct QuietLog(Mutex<Period>);

#[derive(Debug)]
struct Period {
    since: Instant,
    lines: u32,
}

impl Default for QuietLog {
    fn default() -> QuietLog {
        QuietLog(Mutex::new(Period {
            since: Instant::now(),
            lines: 0,
        }))
    }
}

impl QuietLog {
    pub(super) fn warn(&self, line: fmt::Arguments<'_>) {
        let mut period = self.0.lock();
        if period.since.elapsed() >= PERIOD {
            if let Some(dropped) = period.lines.checked_sub(LINES).filter(|n| *n > 0) {
                warn!("and {dropped} more warnings about connections");
            }
            *period = Period {
                since: Instant::now(),
                lines: 0,
            };
        }
        period.lines = period.lines.saturating_add(1);
        if period.lines <= LINES {
            warn!("{line}");
        }
    }
}
