//! Checks the pages: the code that they show, their links and words, the output of the client, and
//! the names of packages and tests.
//!
//! Rust in the pages is either compiled, as a doctest (see the end of `src/lib.rs`), or copied from
//! a file. Then a comment before the block names the file: `<!-- from variants/boxed.rs -->`. In
//! such a block, a line `// ...` stands for omitted lines. The table of old and new shows code of
//! pairs of tests.

#[path = "../house/avoided.rs"]
mod avoided;
mod code;
#[path = "../common/mod.rs"]
mod common;
mod exercises;
mod links;
mod old_and_new;
mod pictures;
mod promises;
mod security;
mod transcripts;
mod words;

use std::collections::BTreeSet;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};

use self::links::anchor;

const SUMMARY: &str = "docs/SUMMARY.md";

/// A page in Markdown.
struct Page {
    path: String,
    text: String,
}

struct Block<'a> {
    /// The words after the opening fence.
    info: String,
    /// The file that the line before the block names, if any.
    source: Option<&'a str>,
    text: String,
}

impl Page {
    fn read(path: &Path) -> Page {
        Page {
            path: path.to_str().unwrap().to_owned(),
            text: fs::read_to_string(path).unwrap(),
        }
    }

    fn events(&self) -> impl Iterator<Item = (Event<'_>, Range<usize>)> {
        let options = Options::ENABLE_TABLES;
        Parser::new_ext(&self.text, options).into_offset_iter()
    }

    fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks: Vec<Block<'_>> = Vec::new();
        let mut is_inside = false;
        for (event, range) in self.events() {
            match event {
                Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(info))) => {
                    is_inside = true;
                    let before = self.text[..range.start].lines().next_back();
                    let comment = before.and_then(|line| line.trim().strip_prefix("<!-- from "));
                    blocks.push(Block {
                        info: info.to_string(),
                        source: comment.and_then(|file| file.strip_suffix(" -->")),
                        text: String::new(),
                    });
                }
                Event::End(TagEnd::CodeBlock) => is_inside = false,
                Event::Text(text) if is_inside => blocks.last_mut().unwrap().text += &text,
                _ => {}
            }
        }
        blocks
    }

    fn links(&self) -> Vec<String> {
        let dest = |(event, _)| match event {
            Event::Start(Tag::Link { dest_url, .. } | Tag::Image { dest_url, .. }) => {
                Some(dest_url.to_string())
            }
            _ => None,
        };
        self.events().filter_map(dest).collect()
    }

    /// Returns the anchors of the headings.
    fn anchors(&self) -> BTreeSet<String> {
        let mut anchors = BTreeSet::new();
        let mut heading = None;
        for (event, _) in self.events() {
            match event {
                Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
                Event::Text(text) | Event::Code(text) => {
                    if let Some(heading) = &mut heading {
                        *heading += &text;
                    }
                }
                Event::End(TagEnd::Heading(_)) => {
                    let anchor = anchor(&heading.take().unwrap());
                    let mut numbered = (1..).map(|n| format!("{anchor}-{n}"));
                    let is_new = anchors.insert(anchor.clone());
                    let _ = is_new || numbered.any(|anchor| anchors.insert(anchor));
                }
                _ => {}
            }
        }
        anchors
    }
}

fn pages() -> Vec<Page> {
    let mut paths: Vec<PathBuf> = fs::read_dir("docs")
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension() == Some("md".as_ref()))
        .collect();
    paths.sort();
    paths.extend(["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(PathBuf::from));
    paths.iter().map(|path| Page::read(path)).collect()
}

#[test]
fn nothing_is_left_unfinished() {
    // Concatenated, so that a search for these markers does not find this line.
    let markers = [["TO", "DO"], ["FIX", "ME"], ["TB", "D"], ["XX", "X"]].map(|word| word.concat());
    for page in pages() {
        for word in page.text.split(|c: char| !c.is_alphanumeric()) {
            assert!(
                !markers.iter().any(|marker| marker == word),
                "{}: {word}",
                page.path
            );
        }
    }
}
