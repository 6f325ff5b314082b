//! Makes a book of the pages in `docs/`.

pub mod timeline;
