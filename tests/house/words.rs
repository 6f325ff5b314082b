//! The words of comments, and how many comments there are.

use std::cmp::Reverse;
use std::ops::Range;

use proc_macro2::{TokenStream, TokenTree};

use crate::tree::Tree;

/// How many of 1,000 words may be "what".
pub const MOST_WHATS: f64 = 2.0;

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

/// The words that are better avoided.
pub const AVOIDED: &str = "what, who, whoever, nobody, somebody, goes on, comes out, comes to, \
    is to be had, sees to it, befell, has its turn";

/// The counts of one file.
#[derive(Debug, Default)]
pub struct Counts {
    file: String,
    /// The words of all comments in lower case, apart from blocks of code.
    words: Vec<String>,
    code_lines: usize,
    /// Lines that are a comment, but not documentation.
    comment_lines: usize,
}

pub fn counts(tree: &Tree) -> Vec<Counts> {
    tree.iter()
        .map(|(file, source)| Counts::of(file, source))
        .collect()
}

impl Counts {
    fn of(file: &str, source: &str) -> Counts {
        let file = file.to_owned();
        let mut counts = Counts {
            file,
            ..Counts::default()
        };
        let literals = literals(source);
        let mut is_in_block = false;
        let mut start = 0;
        for line in source.split_inclusive('\n') {
            let is_code = |at: usize| literals.iter().any(|range| range.contains(&(start + at)));
            let slashes = line.match_indices("//").find(|(at, _)| !is_code(*at));
            let (code, comment) = line.split_at(slashes.map_or(line.len(), |(at, _)| at));
            start += line.len();
            let is_doc = comment.starts_with("///") || comment.starts_with("//!");
            if !code.trim().is_empty() {
                counts.code_lines += 1;
            } else if !comment.is_empty() && !is_doc {
                counts.comment_lines += 1;
            }
            let text = comment.trim_start_matches(['/', '!']).trim();
            let is_fence = text.starts_with("```");
            is_in_block = is_doc && is_in_block != is_fence;
            if !is_in_block {
                let words = text.split(|c: char| !c.is_alphanumeric());
                let words = words.filter(|word| !word.is_empty());
                counts.words.extend(words.map(str::to_lowercase));
            }
        }
        counts
    }

    fn count(&self, phrase: &str) -> usize {
        let phrase: Vec<_> = phrase.split(' ').collect();
        let places = self.words.windows(phrase.len());
        places.filter(|words| *words == phrase).count()
    }
}

/// Returns the places of literals, in which `//` begins no comment.
fn literals(source: &str) -> Vec<Range<usize>> {
    fn collect(tokens: TokenStream, found: &mut Vec<Range<usize>>) {
        for token in tokens {
            match token {
                TokenTree::Group(group) => collect(group.stream(), found),
                TokenTree::Literal(literal) => found.push(literal.span().byte_range()),
                _ => {}
            }
        }
    }
    let mut found = Vec::new();
    collect(source.parse().unwrap(), &mut found);
    // Documentation is a literal, too.
    found.retain(|range| !source[range.clone()].starts_with("//"));
    found
}

/// Returns how many of 1,000 words in comments are "what".
pub fn whats(counts: &[Counts]) -> f64 {
    let whats: usize = counts.iter().map(|file| file.count("what")).sum();
    let words: usize = counts.iter().map(|file| file.words.len()).sum();
    1000.0 * whats as f64 / words.max(1) as f64
}

/// Returns how often each file has one of `phrases`, worst first, and which.
pub fn occurrences(counts: &[Counts], phrases: &str) -> Vec<(usize, String)> {
    let mut rows = Vec::new();
    for file in counts {
        let mut row = (0, format!("{}:", file.file));
        for phrase in phrases.split(", ") {
            let count = file.count(phrase);
            if count > 0 {
                row = (row.0 + count, format!("{} {phrase} {count}", row.1));
            }
        }
        rows.push(row);
    }
    rows.retain(|(count, _)| *count > 0);
    rows.sort_by_key(|(count, _)| Reverse(*count));
    rows
}

/// Returns the lines of comment in 100 lines of code in `part`, and in each of its files, worst
/// first.
pub fn body_comments(counts: &[Counts], part: &str) -> (f64, Vec<(String, String)>) {
    let rate = |files: &[&Counts]| {
        let code: usize = files.iter().map(|file| file.code_lines).sum();
        let comments: usize = files.iter().map(|file| file.comment_lines).sum();
        100.0 * comments as f64 / code.max(1) as f64
    };
    let is_in_part = |file: &&Counts| file.file.starts_with(part);
    let mut files: Vec<_> = counts.iter().filter(is_in_part).collect();
    files.sort_by(|a, b| rate(&[a]).total_cmp(&rate(&[b])));
    let row = |file: &&Counts| (format!("{:.1}", rate(&[file])), file.file.clone());
    (rate(&files), files.iter().map(row).collect())
}
