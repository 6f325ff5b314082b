//! The source files that the rules read.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use walkdir::WalkDir;

/// The text of each file under its path from the root of the repository.
pub type Tree = BTreeMap<String, String>;

/// Returns the Rust files in `folders`.
pub fn read(folders: &[&str]) -> Tree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let paths = folders
        .iter()
        .flat_map(|folder| WalkDir::new(root.join(folder)))
        .map(|entry| entry.unwrap().into_path());
    paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let name = path.strip_prefix(root).unwrap().to_str().unwrap();
            (name.to_owned(), fs::read_to_string(&path).unwrap())
        })
        .collect()
}

/// Returns the files of a program, and those that the programs share, under the paths that they
/// would have in a crate of their own.
pub fn program(name: &str) -> Tree {
    let files = read(&["src/bin"]).into_iter().filter_map(|(file, source)| {
        let file = file.strip_prefix("src/bin/")?;
        let own = file.strip_prefix(name).map(|file| &file[1..]);
        let file = own.or_else(|| file.starts_with("cli/").then_some(file))?;
        Some((format!("src/{}", file.replace("main.rs", "lib.rs")), source))
    });
    files.collect()
}

/// Splits a line into its code and its comment. Either may be empty.
pub fn split_comment(line: &str) -> (&str, &str) {
    let is_comment = line.trim_start().starts_with("//");
    // In a literal, as in "https://", there is no space in front.
    let start = line.find(if is_comment { "//" } else { " //" });
    line.split_at(start.unwrap_or(line.len()))
}
