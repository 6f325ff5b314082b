//! The log of the server: filters its lines, formats them, and sends them to stderr.

use std::env;
use std::io::{self, IsTerminal, Write};

use env_filter::Filter;
use env_logger::fmt::Formatter;
use env_logger::{Logger, Target};
use kvs::stderr;
use log::{Level, LevelFilter, Log, Metadata, Record};

/// The filter for log lines if `RUST_LOG` is not set.
const DEFAULT_FILTER: &str = "info";

/// Sends the log lines of this process to stderr. `RUST_LOG` chooses them. Without it, they are all
/// lines of the level `info` and above.
///
/// If stderr is a stream of journald, the lines have a priority and no time stamp.
///
/// No thread waits for stderr when it logs. If stderr does not take the lines, some of them are
/// lost, and a later line says how many.
pub(crate) fn log_to_stderr() {
    let mut filter = env_filter::Builder::new();
    let wanted = env::var("RUST_LOG");
    if let Err(error) = filter.try_parse(wanted.as_deref().unwrap_or(DEFAULT_FILTER)) {
        stderr::print(format_args!("continuing without RUST_LOG: {error}"));
        filter.parse(DEFAULT_FILTER);
    }
    let filter = filter.build();
    let has_colors = io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none();
    let style = env::var("RUST_LOG_STYLE");
    let style = style.unwrap_or_else(|_| if has_colors { "always" } else { "never" }.to_owned());
    let mut format = env_logger::Builder::new();
    format
        .filter_level(LevelFilter::Trace)
        .parse_write_style(&style)
        .target(Target::Pipe(Box::new(stderr::ToQueue)));
    if is_journal() {
        format.format(write_for_journal);
    }
    let format = format.build();
    log::set_max_level(filter.filter());
    // This fails if the process already has a logger. Then that one stays.
    let _ = log::set_boxed_logger(Box::new(StderrLogger { filter, format }));
}

/// Returns whether stderr is the stream that systemd has connected to journald.
///
/// The variable alone does not tell: a child whose stderr is elsewhere inherits it.
fn is_journal() -> bool {
    let stream = env::var("JOURNAL_STREAM");
    let stderr = rustix::fs::fstat(io::stderr());
    matches!((stream, stderr), (Ok(stream), Ok(stderr))
        if stream == format!("{}:{}", stderr.st_dev, stderr.st_ino))
}

/// Writes a record with the priority that journald reads at the beginning of a line.
///
/// journald takes each line as an entry of its own, so each has the priority. Then no line of a
/// message can choose another one.
fn write_for_journal(out: &mut Formatter, record: &Record<'_>) -> io::Result<()> {
    let (level, target) = (record.level(), record.target());
    let priority = match level {
        Level::Error => 3,
        Level::Warn => 4,
        Level::Info => 6,
        Level::Debug | Level::Trace => 7,
    };
    for line in record.args().to_string().lines() {
        writeln!(out, "<{priority}>[{level:<5} {target}] {line}")?;
    }
    Ok(())
}

struct StderrLogger {
    filter: Filter,
    format: Logger,
}

impl Log for StderrLogger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.filter.enabled(metadata)
    }

    fn log(&self, record: &Record<'_>) {
        if self.filter.matches(record) {
            self.format.log(record);
        }
    }

    fn flush(&self) {
        stderr::flush();
    }
}
