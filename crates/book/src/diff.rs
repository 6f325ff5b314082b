//! Pages that show two files side by side, as `diff` would compare them.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use mdbook_preprocessor::book::Chapter;
use similar::{ChangeTag, InlineChange, TextDiff};

use crate::files::{escaped, not_printed};
use crate::{Error, Result};

/// The clients, in the order of the course.
const CLIENTS: [&str; 6] = ["boxed", "explicit", "anon", "manual", "pinned", "awaited"];

/// The folders with a file for each client.
const FOLDERS: [&str; 2] = ["variants", "variants/streams"];

/// The unchanged lines that are shown around a change.
const AROUND: usize = 4;

/// Two files to compare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pair {
    old: PathBuf,
    new: PathBuf,
}

/// Returns all pairs of clients.
pub(crate) fn pairs() -> Vec<Pair> {
    let mut pairs = Vec::new();
    for folder in FOLDERS {
        let file = |client| Path::new(folder).join(client).with_extension("rs");
        for (n, old) in CLIENTS.iter().enumerate() {
            for new in &CLIENTS[n + 1..] {
                let (old, new) = (file(old), file(new));
                pairs.push(Pair { old, new });
            }
        }
    }
    pairs
}

impl Pair {
    /// Returns the pair that a command such as `diff variants/boxed.rs variants/anon.rs` compares.
    pub(crate) fn of_command(command: &str) -> Option<Pair> {
        let (old, new) = command.strip_prefix("diff ")?.split_once(' ')?;
        let named = Pair {
            old: old.into(),
            new: new.into(),
        };
        pairs().into_iter().find(|pair| *pair == named)
    }

    /// Returns the page of the book with the comparison.
    pub(crate) fn page(&self) -> PathBuf {
        let stem = |path: &Path| path.with_extension("").to_string_lossy().replace('/', "-");
        let (old, new) = (stem(&self.old), stem(&self.new));
        let new = new.rsplit('-').next().unwrap_or_default();
        Path::new("diff").join(format!("{old}-{new}.md"))
    }

    fn title(&self) -> String {
        format!("diff {} {}", self.old.display(), self.new.display())
    }

    /// Returns the chapter with the comparison.
    ///
    /// # Errors
    ///
    /// If one of the files cannot be read.
    pub(crate) fn chapter(&self, root: &Path) -> Result<Chapter> {
        let read = |path: &Path| {
            let path = root.join(path);
            fs::read_to_string(&path).map_err(Error::io("read", &path))
        };
        let (old, new) = (read(&self.old)?, read(&self.new)?);
        let title = self.title();
        let [old_file, new_file] = [&self.old, &self.new].map(|path| path.display());
        let content = format!(
            "# {title}\n\nLeft: [{old_file}](../files/{old_file}.md). \
             Right: [{new_file}](../files/{new_file}.md).\n\n{}",
            compare(&old, &new)
        );
        let parents = vec!["Side by side, line by line".to_owned()];
        let content = not_printed(&content);
        Ok(Chapter::new(&title, content, self.page(), parents))
    }
}

/// One row of a comparison: the lines of both sides, each with its number.
#[derive(Default)]
struct Row {
    old: Option<(usize, String)>,
    new: Option<(usize, String)>,
    is_change: bool,
}

/// Returns a comparison as HTML. Long runs of unchanged lines are folded.
fn compare(old: &str, new: &str) -> String {
    let rows = rows(old, new);
    let is_near = |n: usize| {
        let near = n.saturating_sub(AROUND)..(n + AROUND + 1).min(rows.len());
        rows[near].iter().any(|row| row.is_change)
    };
    let mut html = String::from("<div class=\"diff\">\n");
    let mut n = 0;
    while n < rows.len() {
        let is_shown = is_near(n);
        let len = (n..rows.len())
            .take_while(|n| is_near(*n) == is_shown)
            .count();
        let table = table(&rows[n..n + len]);
        if is_shown {
            html += &table;
        } else {
            let lines = if len == 1 { "line" } else { "lines" };
            let _ = write!(
                html,
                "<details><summary>{len} equal {lines}</summary>\n{table}</details>\n"
            );
        }
        n += len;
    }
    html + "</div>\n"
}

fn rows(old: &str, new: &str) -> Vec<Row> {
    let diff = TextDiff::from_lines(old, new);
    let mut rows: Vec<Row> = Vec::new();
    for op in diff.ops() {
        let first = rows.len();
        // The lines that were removed stand beside those that were added in their place.
        let (mut removed, mut added) = (first, first);
        for change in diff.iter_inline_changes(op) {
            match change.tag() {
                ChangeTag::Equal => {
                    let text = marked(&change);
                    rows.push(Row {
                        old: change.old_index().map(|n| (n + 1, text.clone())),
                        new: change.new_index().map(|n| (n + 1, text)),
                        is_change: false,
                    });
                }
                ChangeTag::Delete => {
                    row(&mut rows, removed).old =
                        change.old_index().map(|n| (n + 1, marked(&change)));
                    removed += 1;
                }
                ChangeTag::Insert => {
                    row(&mut rows, added).new =
                        change.new_index().map(|n| (n + 1, marked(&change)));
                    added += 1;
                }
            }
        }
    }
    rows
}

/// Returns the row `n` of a change.
fn row(rows: &mut Vec<Row>, n: usize) -> &mut Row {
    if n == rows.len() {
        rows.push(Row {
            is_change: true,
            ..Row::default()
        });
    }
    &mut rows[n]
}

/// Returns a line as HTML, with marks around the words that differ.
fn marked(change: &InlineChange<'_, str>) -> String {
    let mut html = String::new();
    for (is_different, text) in change.iter_strings_lossy() {
        let text = escaped(text.trim_end_matches('\n'));
        if is_different && !text.is_empty() {
            let _ = write!(html, "<mark>{text}</mark>");
        } else {
            html += &text;
        }
    }
    html
}

fn table(rows: &[Row]) -> String {
    let mut html = String::from("<table>\n");
    for row in rows {
        let class = if row.is_change { "change" } else { "equal" };
        let _ = write!(html, "<tr class=\"{class}\">");
        for (class, side) in [("old", &row.old), ("new", &row.new)] {
            let _ = match side {
                Some((n, text)) => write!(
                    html,
                    "<td class=\"n\">{n}</td><td class=\"{class}\">{text}</td>"
                ),
                None => write!(html, "<td class=\"n\"></td><td class=\"none\"></td>"),
            };
        }
        html += "</tr>\n";
    }
    html + "</table>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_that_has_changed_stands_beside_its_new_text_with_the_words_marked() {
        let html = compare("same\nlet a = old;\n", "same\nlet a = new;\n");
        let change = html.split("class=\"change\"").nth(1).unwrap();
        assert!(change.contains("let a = <mark>old;</mark>"), "{change}");
        assert!(change.contains("let a = <mark>new;</mark>"), "{change}");
        assert_eq!(html.matches("class=\"change\"").count(), 1);
    }

    #[test]
    fn a_line_that_is_only_in_one_file_has_nothing_beside_it() {
        let html = compare("a\n", "a\nb\n");
        assert!(html.contains("<td class=\"none\"></td><td class=\"n\">2</td><td class=\"new\">"));
    }

    #[test]
    fn equal_lines_far_from_a_change_are_folded() {
        let equal = "x\n".repeat(20);
        let html = compare(&format!("{equal}a\n"), &format!("{equal}b\n"));
        assert!(html.contains("<summary>16 equal lines</summary>"));
    }

    #[test]
    fn a_command_in_a_page_names_its_pair() {
        let pair = Pair::of_command("diff variants/boxed.rs variants/anon.rs").unwrap();
        assert_eq!(pair.page(), Path::new("diff/variants-boxed-anon.md"));
        assert_eq!(Pair::of_command("diff variants/boxed.rs no.rs"), None);
        assert_eq!(Pair::of_command("cargo test"), None);
    }
}
