//! Checks a whole log, and saves the sound records of a damaged one.
//!
//! A `survey` reads the log by the rules of `format::sound`, `losses` compares the records that are
//! gone with the ones that are there, and `rewrite` replaces the log.

mod losses;
mod report;
mod rewrite;
mod segments;
mod survey;

pub use self::report::{Damage, Lost, Progress, Report, Torn};
use self::segments::Scope;
use self::survey::{Survey, TornTail};
use crate::engine::files::Directory;
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::listing::Listing;
use crate::engine::kvs::format::names::Generation;
use crate::engine::kvs::format::segment::Segment;
use crate::error::{KvsError, Result};

/// Reads every byte of the log in `dir` and changes nothing. The traces of a crash, which opening
/// the store removes, are no damage.
///
/// # Errors
///
/// [`KvsError::Io`] if the directory or a whole file cannot be read; parts that cannot be read are
/// in the report. [`KvsError::UnknownVersion`] if the log has a later version.
/// [`KvsError::Changed`] if a store has written to the log meanwhile, because that looks like
/// damage.
pub fn verify(dir: &dyn Directory, progress: Progress<'_>) -> Result<Report> {
    let dir = LogDir::new(dir);
    let before = lengths(dir)?;
    let survey = Survey::of(dir, Scope::Log, TornTail::Drop, progress);
    // If a segment cannot be opened any more, a compaction has removed it.
    if lengths(dir).ok().as_ref() != Some(&before) {
        return Err(KvsError::Changed {
            dir: dir.path().to_owned(),
        });
    }
    survey.map(|survey| survey.report)
}

/// Returns the segments and their lengths, without zeros at their ends. A store that writes to the
/// log changes these.
fn lengths(dir: LogDir<'_>) -> Result<Vec<(Generation, u64)>> {
    let segments = Listing::of(dir)?.segments.into_iter();
    segments
        .map(|generation| {
            let segment = Segment::open_unread(dir, generation)?;
            let len = segment.len()?;
            // The report has the parts that cannot be read.
            Ok((generation, segment.end_of_bytes(0, len).unwrap_or(len)))
        })
        .collect()
}

/// Repairs a damaged log, so that the store opens with every sound record. Keeps the damaged files
/// under other names, and copies the newest sound record of each key to a new segment, which
/// replaces all others. Does not change a log if opening it loses nothing. A crash leaves the old
/// log or the new one.
///
/// # Errors
///
/// Those of [`verify`], and [`KvsError::Io`] or [`KvsError::StorageFull`] if a write fails.
pub fn repair(dir: &dyn Directory, progress: Progress<'_>) -> Result<Report> {
    let dir = LogDir::new(dir);
    let mut survey = Survey::of(dir, Scope::Log, TornTail::Save, progress)?;
    if !survey.report.is_sound() && survey.has_older {
        // The segments that a damaged compacted one replaces may still have the records it lost.
        survey = Survey::of(dir, Scope::All, TornTail::Save, progress)?;
    }
    if survey.report.is_worth_repair() {
        survey.report.kept = rewrite::keep_damaged_files(dir, &survey)?;
        rewrite::write_anew(dir, &survey)?;
    }
    Ok(survey.report)
}
