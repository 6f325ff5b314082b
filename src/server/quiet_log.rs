//! Warnings, limited so that a hostile peer cannot fill a disk with them.

use std::fmt;
use std::time::{Duration, Instant};

use log::warn;
use parking_lot::Mutex;

/// The number of lines in one [`PERIOD`].
const LINES: u32 = 20;
const PERIOD: Duration = Duration::from_secs(1);

/// Writes [`LINES`] warnings in a [`PERIOD`], and counts the others.
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
        let (dropped, is_dropped) = self.count();
        if dropped > 0 {
            warn!("and {dropped} more warnings about connections");
        }
        if !is_dropped {
            warn!("{line}");
        }
    }

    /// Counts one more line. Returns how many lines were dropped in a period that has just ended,
    /// and whether to drop this one. The caller logs without the lock, because the logger is the
    /// user's code.
    fn count(&self) -> (u32, bool) {
        let mut period = self.0.lock();
        let mut dropped = 0;
        if period.since.elapsed() >= PERIOD {
            dropped = period.lines.saturating_sub(LINES);
            *period = Period {
                since: Instant::now(),
                lines: 0,
            };
        }
        period.lines = period.lines.saturating_add(1);
        (dropped, period.lines > LINES)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{self, Sender};
    use std::sync::{Arc, OnceLock};
    use std::thread;

    use log::{LevelFilter, Log, Metadata, Record};

    use super::*;

    /// A logger that itself logs a line for each record of this test.
    #[derive(Default)]
    struct Talkative {
        quiet: OnceLock<Arc<QuietLog>>,
        lines: OnceLock<Sender<String>>,
    }

    static TALKATIVE: OnceLock<Talkative> = OnceLock::new();

    impl Log for Talkative {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn log(&self, record: &Record<'_>) {
            let (Some(quiet), Some(lines)) = (self.quiet.get(), self.lines.get()) else {
                return;
            };
            let line = record.args().to_string();
            if line == "first" {
                quiet.warn(format_args!("second"));
            }
            let _ = lines.send(line);
        }

        fn flush(&self) {}
    }

    #[test]
    fn a_logger_may_log_again() {
        let talkative = TALKATIVE.get_or_init(Talkative::default);
        log::set_logger(talkative).unwrap();
        log::set_max_level(LevelFilter::Warn);
        let quiet = Arc::new(QuietLog::default());
        let (sender, lines) = mpsc::channel();
        talkative.quiet.set(Arc::clone(&quiet)).unwrap();
        talkative.lines.set(sender).unwrap();
        thread::spawn(move || quiet.warn(format_args!("first")));
        for expected in ["second", "first"] {
            let line = lines.recv_timeout(Duration::from_secs(20));
            assert_eq!(line.as_deref(), Ok(expected));
        }
    }
}
