//! The code that pages show.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Block, Page, pages};

/// The line that stands for omitted lines.
const LEFT_OUT: &str = "// ...";

/// Returns the first line of `shown` that `file` does not have in this place.
fn missing_line<'a>(shown: &'a str, file: &str) -> Option<&'a str> {
    let lines: Vec<_> = file.lines().map(str::trim_end).collect();
    let mut from = 0;
    let mut parts = vec![Vec::new()];
    for line in shown.lines() {
        if line.trim() == LEFT_OUT {
            parts.push(Vec::new());
        } else {
            parts.last_mut().unwrap().push(line.trim_end());
        }
    }
    for part in parts.iter().filter(|part| !part.is_empty()) {
        // Among all places, the one where most lines of the part match.
        let best = (from..lines.len()).map(|at| (matching_lines(part, &lines[at..]), at));
        let best = best.max_by_key(|(len, at)| (*len, usize::MAX - at));
        let (len, at) = best.unwrap_or((0, lines.len()));
        if len < part.len() {
            return Some(part[len]);
        }
        from = at + len;
    }
    None
}

/// Returns how many lines of `shown` `lines` begins with. A page may indent them less.
fn matching_lines(shown: &[&str], lines: &[&str]) -> usize {
    let indent = |line: &str| line.len() - line.trim_start().len();
    let shift = indent(lines[0]).saturating_sub(indent(shown[0]));
    let is_shown = |shown: &str, line: &str| {
        let rest = line.split_at_checked(shift);
        let is_indented =
            rest.is_some_and(|(indent, rest)| indent.trim().is_empty() && rest == shown);
        is_indented || shown.is_empty() && line.is_empty()
    };
    let pairs = shown.iter().zip(lines);
    pairs
        .take_while(|(shown, line)| is_shown(shown, line))
        .count()
}

#[test]
fn the_lines_that_a_page_shows_are_those_of_the_file() {
    let mut shown = 0;
    for page in pages() {
        for block in page.blocks() {
            let Some(file) = block.source else {
                continue;
            };
            let text = fs::read_to_string(file)
                .unwrap_or_else(|error| panic!("{} shows {file}: {error}", page.path));
            if let Some(line) = missing_line(&block.text, &text) {
                panic!(
                    "{} shows the line\n{line}\nof {file}, which does not have it there: mend the page",
                    page.path
                );
            }
            shown += 1;
        }
    }
    assert!(shown > 0);
}

#[test]
fn a_line_that_has_changed_is_noticed() {
    let file = "fn a() {\n    one();\n\n    two();\n    three();\n}\n";
    assert_eq!(missing_line("one();\n\ntwo();\n", file), None);
    assert_eq!(
        missing_line("fn a() {\n    // ...\n    three();\n}\n", file),
        None
    );
    assert_eq!(missing_line("one();\ntwo();\n", file), Some("two();"));
    assert_eq!(missing_line("two();\nfour();\n", file), Some("four();"));
    assert_eq!(missing_line("}\n// ...\nmore();\n", file), Some("more();"));
    assert_eq!(
        missing_line("two();\n// ...\none();\n", file),
        Some("one();")
    );
}

/// The introduction shows lines of a `diff` between two variants.
#[test]
fn the_diff_in_the_introduction_is_that_of_the_files() {
    let [boxed, anon] = ["boxed", "anon"].map(|name| {
        let file = fs::read_to_string(format!("variants/{name}.rs")).unwrap();
        file.lines().map(str::to_owned).collect::<BTreeSet<_>>()
    });
    let page = Page::read(Path::new("docs/introduction.md"));
    let blocks = page.blocks();
    let lines = blocks.iter().flat_map(|block| block.text.lines());
    let mut shown = 0;
    for line in lines {
        let (file, other, line) = match line.split_at_checked(2) {
            Some(("< ", line)) => (&boxed, &anon, line),
            Some(("> ", line)) => (&anon, &boxed, line),
            _ => continue,
        };
        let is_different = file.contains(line) && !other.contains(line);
        assert!(is_different, "{}: no diff prints {line}", page.path);
        shown += 1;
    }
    assert!(shown > 0);
}

/// Returns how many lines of `a` or `b` a `diff` prints: all but those of the longest common
/// subsequence.
fn differing_lines(a: &str, b: &str) -> usize {
    let [a, b] = [a, b].map(|text| text.lines().collect::<Vec<_>>());
    let mut common = vec![0; b.len() + 1];
    for a in &a {
        let mut before = 0;
        for (at, b) in b.iter().enumerate() {
            let here = common[at + 1];
            let longest = here.max(common[at]);
            common[at + 1] = if a == b { before + 1 } else { longest };
            before = here;
        }
    }
    a.len() + b.len() - 2 * common[b.len()]
}

#[test]
fn lines_that_differ_are_counted_on_either_side() {
    assert_eq!(differing_lines("a\nb\nc\n", "a\nb\nc\n"), 0);
    assert_eq!(differing_lines("a\nb\nc\n", "a\nd\nc\n"), 2);
    assert_eq!(differing_lines("a\nb\nc\n", "c\na\n"), 3);
    assert_eq!(differing_lines("", "a\na\n"), 2);
}

/// Checks the rows of a page that count lines of the clients: those that differ between the two of
/// each pair, and those of each file.
fn check_counts_of_lines(page: &str, pairs: &[[&str; 2]], names: &[&str]) {
    let page = Page::read(Path::new(page));
    let has_row = |row: String| {
        let has_row = page.text.contains(&format!("\n{row}\n"));
        assert!(has_row, "{} has to have the row\n{row}", page.path);
    };
    for [a, b] in pairs {
        let [client, stream] = ["", "streams/"].map(|folder| {
            differing_lines(
                &variant(&format!("{folder}{a}")),
                &variant(&format!("{folder}{b}")),
            )
        });
        has_row(format!("| `{a}` and `{b}` | {client} | {stream} |"));
    }
    let lines: Vec<_> = names.iter().map(|name| lines_of(name)).collect();
    has_row(format!("| lines of the file | - | {} |", lines.join(" | ")));
}

fn variant(name: &str) -> String {
    fs::read_to_string(format!("variants/{name}.rs")).unwrap()
}

fn lines_of(client: &str) -> String {
    variant(client).lines().count().to_string()
}

const FOUR: [&str; 4] = ["boxed", "explicit", "anon", "manual"];

#[test]
fn the_counts_of_lines_side_by_side_are_those_of_the_files() {
    let pairs = [
        ["boxed", "anon"],
        ["boxed", "explicit"],
        ["boxed", "manual"],
    ];
    check_counts_of_lines("docs/side-by-side.md", &pairs, &FOUR);

    // A bar is as wide as its number, and then scaled.
    let picture = fs::read_to_string("docs/pictures/side-by-side.svg").unwrap();
    let (_, bars) = picture.split_once(">Lines of the file<").unwrap();
    for lines in FOUR.map(lines_of) {
        let bar = format!("<rect width=\"{lines}\"");
        let number = format!(">{lines}</text>");
        assert!(bars.contains(&bar) && bars.contains(&number), "no {number}");
    }
}

#[test]
fn the_counts_of_lines_of_all_six_are_those_of_the_files() {
    let pairs = [["manual", "pinned"], ["anon", "awaited"]];
    let names = ["boxed", "explicit", "anon", "manual", "pinned", "awaited"];
    check_counts_of_lines("docs/six.md", &pairs, &names);
}

#[test]
fn rust_in_a_page_is_compiled_or_shown_from_a_file() {
    let library = fs::read_to_string("src/lib.rs").unwrap();
    for page in pages() {
        let is_compiled = library.contains(&format!("include_str!(\"../{}\")", page.path));
        for Block { info, source, text } in page.blocks() {
            let words: Vec<_> = info.split(',').map(str::trim).collect();
            if words[0] != "rust" {
                continue;
            }
            let is_ignored = words.contains(&"ignore");
            assert!(
                source.is_some() == is_ignored && (is_ignored || is_compiled),
                "{}: nothing holds this to the truth:\n{text}",
                page.path
            );
            if words.contains(&"compile_fail") {
                let is_code = |word: &&str| word.len() == 5 && word.starts_with('E');
                assert!(
                    words.iter().any(is_code),
                    "{}: no error code:\n{text}",
                    page.path
                );
            }
        }
    }
}

/// Returns whether rustdoc and the book hide this line.
fn is_hidden(line: &str) -> bool {
    line.trim_start().starts_with("# ") || line.trim() == "#"
}

/// A code host shows the lines that rustdoc and the book hide.
#[test]
fn few_lines_of_a_page_are_hidden() {
    let (mut all_hidden, mut all) = (0, 0);
    for page in pages() {
        let blocks = page.blocks();
        let rust = blocks.iter().filter(|block| block.info.starts_with("rust"));
        let lines: Vec<_> = rust.flat_map(|block| block.text.lines()).collect();
        let hidden = lines.iter().filter(|line| is_hidden(line)).count();
        assert!(
            hidden * 10 <= lines.len(),
            "{} hides {hidden} of {} lines of Rust",
            page.path,
            lines.len()
        );
        all_hidden += hidden;
        all += lines.len();
    }
    assert!(
        all_hidden * 20 <= all,
        "{all_hidden} of {all} lines of Rust are hidden"
    );
}

/// A wider line does not fit beside the chapters of the book, or on paper.
#[test]
fn no_line_of_code_is_wider_than_100_columns() {
    for page in pages() {
        for block in page.blocks() {
            let is_rust = block.info.starts_with("rust");
            let mut shown = block
                .text
                .lines()
                .filter(|line| !is_rust || !is_hidden(line));
            let wide = shown.find(|line| line.chars().count() > 100);
            assert_eq!(wide, None, "{} shows a line that is too wide", page.path);
        }
    }
}
