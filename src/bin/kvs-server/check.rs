//! The work of `--verify` and `--repair`.

use std::path::Path;

use failure::format_err;
use indicatif::{ProgressBar, ProgressStyle};
use kvs::engine::{self, Progress, Report};

use crate::cli::{self, Result};
use crate::patience::Patience;

/// How a report is printed.
#[derive(Clone, Copy)]
pub(crate) enum Print {
    /// For people, with at most this many lines of each kind.
    Lines(usize),
    /// For programs, as a single JSON object.
    Json,
}

impl Print {
    fn report(self, report: &Report) -> Result<()> {
        match self {
            Print::Lines(most) => cli::print(report.first(most, " (--all shows them)")),
            Print::Json => cli::print(serde_json::to_string(report)?),
        }
    }

    fn note(self, line: &str) -> Result<()> {
        match self {
            Print::Lines(_) => cli::print(line),
            Print::Json => Ok(()),
        }
    }
}

/// Verifies the directory `path` and prints the report.
///
/// # Errors
///
/// An error that says so if the directory is damaged, and the errors of [`engine::verify_dir`].
pub(crate) fn verify(path: &Path, print: Print) -> Result<()> {
    let patience = Patience::default();
    let report = with_progress(|progress| patience.retry(|| engine::verify_dir(path, progress)))?;
    print.report(&report)?;
    if report.is_sound() {
        return print.note("sound");
    }
    Err(format_err!(
        "{path:?} is damaged in {} place(s): kvs-server --repair saves the sound records",
        report.damage.len()
    ))
}

/// Repairs the directory `path` and prints the report.
pub(crate) fn repair(path: &Path, print: Print) -> Result<()> {
    let patience = Patience::default();
    let repaired = with_progress(|progress| patience.retry(|| engine::repair_dir(path, progress)))?;
    if repaired.has_new_marker {
        print.note("the file that names the engine was damaged, and has been written again")?;
    }
    let report = repaired.report;
    print.report(&report)?;
    print.note(if report.kept.is_empty() && report.is_sound() {
        "nothing to repair"
    } else {
        "repaired, the server can be started"
    })
}

/// Shows the progress of the work on a terminal.
fn with_progress<T>(work: impl FnOnce(Progress<'_>) -> T) -> T {
    let style = ProgressStyle::with_template("{bytes} of {total_bytes} {wide_bar} {eta}");
    let bar = ProgressBar::new(0).with_style(style.unwrap_or(ProgressStyle::default_bar()));
    let done = work(&mut |done, all| {
        bar.set_length(all);
        bar.set_position(done);
    });
    bar.finish_and_clear();
    done
}
