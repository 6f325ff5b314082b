//! The exercises, and how their files compile and run.
//!
//! rustlings takes a starter for unsolved if it fails for any reason at all. The tests of this
//! crate hold each starter to the failure that `info.toml` names, each solution to success, and
//! each wrong solution in `wrong/` to the failure that its first line names.

mod build;

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

pub use build::{Built, build};

/// The folder of the exercises, with `info.toml` in it.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// The tests of a file begin at this line, and end with the file.
const TESTS: &str = "#[cfg(test)]\n";

#[derive(Deserialize)]
struct Info {
    exercises: Vec<Exercise>,
}

/// An exercise, as `info.toml` describes it.
#[derive(Deserialize)]
pub struct Exercise {
    pub name: String,
    dir: String,
    fails: String,
}

/// A failure: an error of the compiler, or a test that fails.
#[derive(Debug)]
pub enum Failure {
    /// Its code, such as `E0308`.
    Compiler(String),
    /// A part of its message, since some errors have no code.
    NoCode(String),
    /// The name of the test, and a part of its message.
    Test(String, String),
}

impl Failure {
    /// Parses `E0308`, `error: a part of a message without a code`, or
    /// `name_of_the_test: a part of its message`.
    ///
    /// # Panics
    ///
    /// Panics if the text is none of these.
    pub fn parse(text: &str) -> Failure {
        match text.split_once(": ") {
            Some(("error", message)) => Failure::NoCode(message.to_owned()),
            Some((test, message)) => Failure::Test(test.to_owned(), message.to_owned()),
            None if text.len() == 5 && text.starts_with('E') => Failure::Compiler(text.to_owned()),
            None => panic!("neither a code of the compiler nor `test: message`: {text:?}"),
        }
    }
}

/// Reads `info.toml`.
///
/// # Panics
///
/// Panics if the file is not as it should be.
pub fn exercises() -> Vec<Exercise> {
    let text = fs::read_to_string(Path::new(ROOT).join("info.toml")).unwrap();
    toml::from_str::<Info>(&text).unwrap().exercises
}

impl Exercise {
    /// Returns how the starter fails.
    pub fn failure(&self) -> Failure {
        Failure::parse(&self.fails)
    }

    /// Returns the starter or the solution: the part that a learner writes, and the tests.
    ///
    /// # Panics
    ///
    /// Panics if there is no such file, or if it has no tests.
    pub fn parts(&self, folder: &str) -> (String, String) {
        let path = Path::new(folder)
            .join(&self.dir)
            .join(format!("{}.rs", self.name));
        let text = fs::read_to_string(Path::new(ROOT).join(&path)).unwrap();
        let at = text.find(TESTS);
        let at = at.unwrap_or_else(|| panic!("{}: no {}", path.display(), TESTS.trim()));
        let (code, tests) = text.split_at(at);
        (code.to_owned(), tests.to_owned())
    }

    /// Returns the wrong solutions, each with its name and without tests.
    pub fn wrong(&self) -> Vec<Wrong> {
        let folder = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/wrong")).join(&self.name);
        let Ok(files) = fs::read_dir(folder) else {
            return Vec::new();
        };
        files
            .map(|file| Wrong::read(&file.unwrap().path()))
            .collect()
    }
}

/// A plausible solution that is wrong.
pub struct Wrong {
    pub name: String,
    pub failure: Failure,
    pub code: String,
}

impl Wrong {
    /// The first line of the file is `//! Fails: `, and then as in [`Failure::parse`].
    fn read(path: &Path) -> Wrong {
        let text = fs::read_to_string(path).unwrap();
        let failure = text
            .lines()
            .next()
            .and_then(|line| line.strip_prefix("//! Fails: "));
        let failure = failure.unwrap_or_else(|| panic!("{}: how does it fail?", path.display()));
        Wrong {
            name: path.file_stem().unwrap().to_str().unwrap().to_owned(),
            failure: Failure::parse(failure),
            code: text,
        }
    }
}
