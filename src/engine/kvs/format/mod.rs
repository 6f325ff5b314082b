//! `docs/format.md` as code: the files of a store and their bytes.

pub(crate) mod hints;
pub(crate) mod names;
pub(crate) mod record;
pub(crate) mod scanner;
pub(crate) mod segment;
pub(crate) mod watermark;
