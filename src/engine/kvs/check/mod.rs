//! Looking a log over from end to end, and saving what is sound in a damaged one.

mod report;
mod survey;

pub use self::report::{Damage, Lost, Report, Torn};
use self::survey::Survey;
use crate::engine::files::Directory;
use crate::engine::kvs::format::dir::LogDir;
use crate::engine::kvs::format::listing::Listing;
use crate::engine::kvs::format::names::Generation;
use crate::engine::kvs::format::segment::Segment;
use crate::error::{KvsError, Result};

/// Hears how far the work has come: bytes done, and bytes in all.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Reads every byte of the log in `dir` and changes nothing. What a crash may leave, and opening
/// the store would clear away, is no damage.
///
/// # Errors
///
/// What the disk reports of a file as a whole; of a part that cannot be read, the report tells.
/// [`KvsError::UnknownVersion`] if the log is not of this version. [`KvsError::Changed`] if a store
/// has written to the log meanwhile, because that looks like damage.
pub fn verify(dir: &dyn Directory, progress: Progress<'_>) -> Result<Report> {
    let dir = LogDir::new(dir);
    let before = lengths(dir)?;
    let survey = Survey::of(dir, progress, false);
    // If a segment cannot be opened any more, a compaction has removed it.
    if lengths(dir).ok().as_ref() != Some(&before) {
        return Err(KvsError::Changed {
            dir: dir.path().to_owned(),
        });
    }
    survey.map(|survey| survey.report)
}

/// Returns the segments and their lengths. A store that writes changes one or the other.
fn lengths(dir: LogDir<'_>) -> Result<Vec<(Generation, u64)>> {
    let segments = Listing::of(dir)?.segments.into_iter();
    segments
        .map(|generation| {
            let segment = Segment::open_unread(dir, generation)?;
            Ok((generation, segment.len()?))
        })
        .collect()
}

/// Makes a damaged log one that can be opened, with every record that is sound: all that is alive
/// is copied to a new segment, in the place of the ones before, and the damaged files are kept
/// under another name. A log of which opening loses nothing stays as it is. A crash leaves the old
/// log or the new one.
///
/// # Errors
///
/// Those of [`verify`], and what the disk reports of the writing.
pub fn repair(dir: &dyn Directory, progress: Progress<'_>) -> Result<Report> {
    let dir = LogDir::new(dir);
    let mut survey = Survey::of(dir, progress, true)?;
    if !survey.report.is_sound() && survey.has_older {
        // Those that a damaged compacted segment replaces may still have what it has lost.
        survey = Survey::of_all(dir, progress, true)?;
    }
    if survey.report.is_worth_repair() {
        survey.keep_damaged_files(dir)?;
        survey.write_anew(dir)?;
    }
    Ok(survey.report)
}
