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

/// The last column that a line of comments may have. rustfmt leaves them as they are.
pub const WIDTH: usize = 100;

/// Returns the places of avoided words in comments, and how many of 1,000 words these are.
pub fn avoided(tree: &Tree) -> (f64, Vec<String>) {
    let mut places = Vec::new();
    let mut words = 0;
    for (place, text) in outside_blocks(tree) {
        let (found, len) = avoided::avoided(split_comment(text).1);
        words += len;
        places.extend(found.iter().map(|word| format!("{place} {word}")));
    }
    (1000.0 * places.len() as f64 / words.max(1) as f64, places)
}

/// Returns the places of lines of comments that end after [`WIDTH`].
pub fn wide(tree: &Tree) -> Vec<String> {
    let is_wide = |text: &str| text.trim_start().starts_with("//") && text.chars().count() > WIDTH;
    let wide = outside_blocks(tree).filter(|(_, text)| is_wide(text));
    wide.map(|(place, _)| place).collect()
}

/// Returns every line with its place, but for those of blocks of code in comments.
fn outside_blocks(tree: &Tree) -> impl Iterator<Item = (String, &str)> {
    tree.iter().flat_map(|(file, source)| {
        let mut is_in_block = false;
        (1..).zip(source.lines()).filter_map(move |(line, text)| {
            is_in_block ^= split_comment(text).1.contains("```");
            (!is_in_block).then(|| (format!("{file}:{line}"), text))
        })
    })
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
