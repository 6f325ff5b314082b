//! Makes a book of the pages in `docs/`.
//!
//! The pages are plain Markdown. The book adds what a code host has and a folder of pages has not:
//!
//! - `files`: pages that show the files that the pages link to
//! - `diff`: pages that show two clients side by side
//! - [`timeline`]: the player of the recordings in `docs/timeline`
//!
//! [`Pages`] puts them together, as a preprocessor of mdBook.

mod diff;
mod files;
mod links;
mod pages;
pub mod timeline;

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use mdbook_driver::MDBook;

pub use pages::Pages;

/// A result whose error is a message for people.
pub type Result<T> = std::result::Result<T, Error>;

/// A message for people.
#[derive(Debug)]
pub struct Error(pub String);

impl Error {
    /// Returns the error for an action on a file or a folder that has failed.
    fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
        move |error| Error(format!("cannot {action} {}: {error}", path.display()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

/// Returns the root of the repository.
#[must_use]
pub fn root() -> PathBuf {
    // This crate is two folders below the root.
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2);
    root.unwrap_or(Path::new(".")).into()
}

/// Makes the book in the folder `out`, and returns the path of its first page.
///
/// # Errors
///
/// If a page or a file cannot be read, or the book cannot be written.
pub fn build(out: &Path) -> Result<PathBuf> {
    let failed = |error| Error(format!("cannot make the book: {error:#}"));
    let mut book = MDBook::load(root()).map_err(failed)?;
    book.config.build.build_dir = out.into();
    // book.toml names the preprocessor, too, as a command for mdbook.
    book.with_preprocessor(Pages);
    book.build().map_err(failed)?;
    Ok(out.join("index.html"))
}
