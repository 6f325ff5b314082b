//! `docs/format.md` as code: the files of a store and their bytes.

pub(crate) mod hints;
pub(crate) mod record;
pub(crate) mod segment;
