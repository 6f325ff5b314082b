//! The source files that the rules read.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use walkdir::WalkDir;

/// The text of each file under its path from the root of the repository.
pub type Tree = BTreeMap<String, String>;

/// Returns the Rust files in `folders`. A folder that does not exist has none.
pub fn read(folders: &[&str]) -> Tree {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    folders
        .iter()
        .map(|folder| root.join(folder))
        .filter(|folder| folder.exists())
        .flat_map(WalkDir::new)
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| {
            let name = path
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .replace('\\', "/");
            (name, fs::read_to_string(path).unwrap())
        })
        .collect()
}
