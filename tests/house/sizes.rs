//! The lengths of files. Clippy holds those of functions, see `clippy.toml`.

use crate::tree::Tree;

/// The lines that a file may have.
pub const LONGEST: usize = 450;

/// The lines that half of the files in `src` stay below.
pub const MEDIAN: usize = 150;

/// Returns the number of lines of each file, the longest file first.
pub fn sizes(tree: &Tree) -> Vec<(usize, String)> {
    let mut sizes: Vec<_> = tree
        .iter()
        .map(|(file, text)| (text.lines().count(), file.clone()))
        .collect();
    sizes.sort_by(|a, b| b.cmp(a));
    sizes
}

/// Returns the number of lines that the file in the middle has.
pub fn median(tree: &Tree) -> usize {
    sizes(tree)[tree.len() / 2].0
}
