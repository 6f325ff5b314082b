//! The files of a store, as `docs/format.md` describes them.
//!
//! Nothing here knows how the files are used. `dir` and `file` give access to them, `names`
//! and `listing` tell them apart, and each of the others is the code of one part: a `record`, a
//! `segment` of records with the `scanner` that reads it, its `hints`, and the `watermark`. `sound`
//! has the rules by which these parts make a log, and `salvage` reads segments that break them.

pub(crate) mod dir;
pub(crate) mod file;
pub(crate) mod header;
pub(crate) mod hints;
pub(crate) mod listing;
pub(crate) mod names;
pub(crate) mod record;
pub(crate) mod salvage;
pub(crate) mod scanner;
pub(crate) mod segment;
pub(crate) mod sound;
pub(crate) mod watermark;
