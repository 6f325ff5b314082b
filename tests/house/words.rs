//! The words of comments, and how many comments there are.

use crate::avoided;
use crate::tree::{Tree, split_comment};

/// How many of 1,000 words in comments may be avoided ones.
pub const MOST_AVOIDED: f64 = 0.5;

/// How many lines of comment 100 lines of hard code need.
pub const FEWEST_COMMENTS: f64 = 4.0;

/// The hard code.
pub const HARD: [&str; 5] = [
    "src/engine/",
    "src/server/connection.rs",
    "src/server/pipeline.rs",
    "src/server/input.rs",
    "src/server/output.rs",
];

/// Returns the places of avoided words in comments, and how many of 1,000 words these are. Blocks
/// of code do not count.
pub fn avoided(tree: &Tree) -> (f64, Vec<String>) {
    let mut places = Vec::new();
    let mut words = 0;
    for (file, source) in tree {
        let mut is_in_block = false;
        for (line, text) in (1..).zip(source.lines()) {
            let comment = split_comment(text).1;
            is_in_block ^= comment.contains("```");
            if is_in_block {
                continue;
            }
            let (found, len) = avoided::avoided(comment);
            words += len;
            places.extend(found.iter().map(|word| format!("{file}:{line} {word}")));
        }
    }
    (1000.0 * places.len() as f64 / words.max(1) as f64, places)
}

/// Returns the lines of comment in 100 lines of code. Documentation is neither.
pub fn explained<'a>(sources: impl IntoIterator<Item = &'a String>) -> f64 {
    let (mut code, mut comments) = (0.0, 0.0);
    for line in sources.into_iter().flat_map(|source| source.lines()) {
        let (before, comment) = split_comment(line);
        if !before.trim().is_empty() {
            code += 1.0;
        } else if comment.starts_with("// ") {
            comments += 1.0;
        }
    }
    100.0 * comments / f64::max(code, 1.0)
}
