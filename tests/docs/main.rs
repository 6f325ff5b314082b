//! What the pages say is true: of the code that they show, of the files that they link to, of what
//! the client prints, of packages and of tests.
//!
//! Rust in the pages is either compiled, as a doctest (see the end of `src/lib.rs`), or shown from a
//! file, whose name is in a comment before the block: `<!-- from variants/boxed.rs -->`. A line of
//! such a block that is no more than `// ...` stands for lines that are left out. What stands in a
//! table of old and new is shown from a pair of tests.

#[path = "../common/mod.rs"]
mod common;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use assert_cmd::cargo::cargo_bin_cmd;
use common::ServerProcess;
use pulldown_cmark::{CodeBlockKind, Event, Options, Parser, Tag, TagEnd};
use walkdir::WalkDir;

const LEAVING: &str = "docs/leaving-futures-0.1.md";
const SECURITY: &str = "docs/security.md";
const SUMMARY: &str = "docs/SUMMARY.md";

/// What stands for lines that are left out.
const LEFT_OUT: &str = "// ...";

/// A page, as its source.
struct Page {
    path: String,
    text: String,
}

struct Block<'a> {
    /// What is behind the opening fence.
    info: String,
    /// The file that it is shown from, where the line before says so.
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

    /// The names under which its headings can be linked to.
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

/// What a heading is called in links, as GitHub makes it.
fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let heading = heading.to_lowercase();
    heading
        .chars()
        .filter(kept)
        .collect::<String>()
        .replace(' ', "-")
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

/// Says which line of `shown` is not in `file`, behind those before it.
fn missing_line<'a>(shown: &'a str, file: &str) -> Option<&'a str> {
    let lines: Vec<_> = file.lines().map(str::trim_end).collect();
    let mut from = 0;
    let mut parts = vec![Vec::new()];
    for line in shown.lines() {
        match line.trim() == LEFT_OUT {
            true => parts.push(Vec::new()),
            false => parts.last_mut().unwrap().push(line.trim_end()),
        }
    }
    for part in parts.iter().filter(|part| !part.is_empty()) {
        // The one place of all where most of it stands.
        let matching = |at: usize| {
            let pairs = part.iter().zip(&lines[at..]);
            let indent = |line: &str| line.len() - line.trim_start().len();
            let shift = indent(lines[at]).saturating_sub(indent(part[0]));
            pairs
                .take_while(|(shown, line)| match shown.is_empty() {
                    true => line.is_empty(),
                    false => line
                        .split_at_checked(shift)
                        .is_some_and(|(indent, rest)| indent.trim().is_empty() && rest == **shown),
                })
                .count()
        };
        let best = (from..lines.len()).map(|at| (matching(at), at));
        let best = best.max_by_key(|(len, at)| (*len, usize::MAX - at));
        let (len, at) = best.unwrap_or((0, lines.len()));
        if len < part.len() {
            return Some(part[len]);
        }
        from = at + len;
    }
    None
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

/// Where a page shows what `diff` prints of two variants.
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

#[test]
fn links_lead_somewhere() {
    let mut anchors = HashMap::new();
    for page in pages() {
        for link in page.links() {
            if link.contains("://") {
                continue;
            }
            let (path, anchor) = link.split_once('#').unwrap_or((&link, ""));
            let target = match path {
                "" => PathBuf::from(&page.path),
                path => normal(&Path::new(&page.path).with_file_name(path)),
            };
            assert!(
                target.exists(),
                "{} links to {link}, which is not there",
                page.path
            );
            if !anchor.is_empty() {
                let anchors = anchors
                    .entry(target.clone())
                    .or_insert_with(|| Page::read(&target).anchors());
                assert!(
                    anchors.contains(anchor),
                    "{} links to {link}, and {target:?} has no such heading",
                    page.path
                );
            }
        }
    }
}

/// The path without `..` in it.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(normal.pop()),
            component => normal.push(component),
        }
    }
    normal
}

#[test]
fn anchors_are_made_as_github_makes_them() {
    assert_eq!(anchor("`Send` leaks, and `use<>`"), "send-leaks-and-use");
    assert_eq!(
        anchor("What the server promises"),
        "what-the-server-promises"
    );
}

#[test]
fn the_summary_names_every_page() {
    let linked: BTreeSet<String> = Page::read(Path::new(SUMMARY)).links().into_iter().collect();
    for page in pages() {
        if let Some(name) = page.path.strip_prefix("docs/")
            && page.path != SUMMARY
        {
            assert!(linked.contains(name), "{SUMMARY} does not name {name}");
        }
    }
}

#[test]
fn nothing_is_left_unfinished() {
    // Put together here, so that a search for them finds only what is meant.
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

/// What a transcript shows is what the programs print. All of a page talk to one server.
#[test]
fn transcripts_are_what_the_client_prints() {
    let mut commands = 0;
    for page in pages() {
        let blocks = page.blocks();
        let transcripts: Vec<_> = blocks
            .iter()
            .filter(|block| block.info == "console")
            .collect();
        if transcripts.is_empty() {
            continue;
        }
        let dir = tempfile::tempdir().unwrap();
        let server = ServerProcess::start(dir.path(), &[]);
        for transcript in transcripts {
            for step in transcript.text.split("$ ").skip(1) {
                let (command, expected) = step.split_once('\n').unwrap_or((step, ""));
                let words = command.split('#').next().unwrap_or_default();
                let mut words = words.split_whitespace();
                assert_eq!(words.next(), Some("kvs-client"), "{}: {command}", page.path);
                let mut client = cargo_bin_cmd!("kvs-client");
                let first = words.next().into_iter();
                client.args(first.clone());
                if !first.clone().any(|word| word.starts_with('-')) {
                    client.args(["--addr", &server.addr.to_string()]);
                }
                let output = client.args(words).output().unwrap();
                let printed = [output.stdout, output.stderr].concat();
                let printed = String::from_utf8(printed).unwrap();
                println!("{}: {command}", page.path);
                snapbox::assert_data_eq!(printed, expected.to_owned());
                commands += 1;
            }
        }
    }
    assert!(commands > 0);
}

/// The tests of a file, as their names and bodies.
fn tests_of(path: &str) -> Vec<(String, String)> {
    let text = fs::read_to_string(path).unwrap();
    let tests = text.split("test]\n").skip(1).map(|test| {
        let (head, body) = test.split_once('\n').unwrap();
        let name = head.trim_start_matches("async ").trim_start_matches("fn ");
        let name = name.split('(').next().unwrap();
        let body = body.split("\n}").next().unwrap();
        (name.to_owned(), body.to_owned())
    });
    tests.collect()
}

/// A row names a test of each file, by its first cell, and shows parts of the two in the others.
#[test]
fn the_table_of_old_and_new_is_that_of_the_tests() {
    let page = Page::read(Path::new(LEAVING));
    let mut rows: Vec<[(String, Vec<String>); 3]> = Vec::new();
    let (mut row, mut is_body) = (Vec::new(), false);
    for (event, _) in page.events() {
        match event {
            Event::End(TagEnd::TableHead) => (row, is_body) = (Vec::new(), true),
            Event::End(TagEnd::Table) => is_body = false,
            Event::Start(Tag::TableCell) => row.push((String::new(), Vec::new())),
            Event::Text(text) if is_body => row.last_mut().unwrap().0 += &text,
            Event::Code(code) if is_body => row.last_mut().unwrap().1.push(code.to_string()),
            Event::End(TagEnd::TableRow) => rows.extend(std::mem::take(&mut row).try_into()),
            _ => {}
        }
    }
    // Other tables have code in their first cells, or text in the others.
    rows.retain(|[name, old, new]| name.1.is_empty() && old.0.is_empty() && new.0.is_empty());
    let named: Vec<String> = rows
        .iter()
        .map(|[name, ..]| name.0.replace(' ', "_"))
        .collect();

    for (column, file) in [(1, "old"), (2, "new")] {
        let file = format!("tests/old_and_new/{file}.rs");
        let tests = tests_of(&file);
        let names: Vec<&String> = tests.iter().map(|(name, _)| name).collect();
        assert_eq!(named.iter().collect::<Vec<_>>(), names, "{LEAVING}, {file}");
        for (row, (name, body)) in rows.iter().zip(&tests) {
            let shown = &row[column].1;
            assert!(!shown.is_empty(), "{LEAVING} shows nothing of {name}");
            for code in shown {
                assert!(
                    body.lines().any(|line| line.contains(code)),
                    "{LEAVING} shows `{code}`, which is not in {name} of {file}: mend the page"
                );
            }
        }
    }
}

fn table(path: &str) -> toml::Table {
    fs::read_to_string(path).unwrap().parse().unwrap()
}

#[test]
fn the_security_page_names_the_versions_of_the_lock_file() {
    let lock = table("Cargo.lock");
    let locked: BTreeSet<String> = lock["package"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            let text = |key| package[key].as_str().unwrap();
            format!("{} {}", text("name"), text("version"))
        })
        .collect();
    let page = fs::read_to_string(SECURITY).unwrap();
    // All that is between backquotes and looks like `name 1.2.3`.
    let named: BTreeSet<&str> = page
        .split('`')
        .skip(1)
        .step_by(2)
        .filter(|code| {
            let version = code.split_once(' ').map_or("", |(_, version)| version);
            let numbers: Vec<_> = version.split('.').map(str::parse::<u64>).collect();
            numbers.len() == 3 && numbers.iter().all(Result::is_ok)
        })
        .collect();
    assert!(!named.is_empty(), "{SECURITY} names no package");
    let gone: Vec<_> = named
        .iter()
        .filter(|name| !locked.contains(**name))
        .collect();
    assert!(
        gone.is_empty(),
        "{SECURITY} speaks of {gone:?}, which Cargo.lock does not have: see which advisories concern \
         what it has, and mend the page"
    );
}

#[test]
fn the_security_page_explains_every_advisory_that_is_ignored() {
    let deny = table("deny.toml");
    let page = fs::read_to_string(SECURITY).unwrap();
    let ignored = deny["advisories"]["ignore"].as_array().unwrap();
    assert!(!ignored.is_empty());
    for id in ignored {
        let id = id.as_str().unwrap();
        assert!(
            page.contains(id),
            "deny.toml ignores {id}, and {SECURITY} does not say why"
        );
    }
}

/// A promise names the target of the test that shows it, as `file.rs` or `folder/`, and then the
/// tests of that target. An ellipsis stands for the end of a name.
#[test]
fn the_tests_that_pages_name_are_there() {
    for page in ["docs/guarantees.md", "docs/security.md"] {
        let text = fs::read_to_string(page).unwrap();
        let (mut target, mut tests, mut found) = ("", String::new(), 0);
        for code in text.split('`').skip(1).step_by(2) {
            if is_target(code) {
                target = code;
                tests = source(&format!("tests/{code}"));
                if code == "clients.rs" {
                    tests += &fs::read_to_string("tests/harness/mod.rs").unwrap();
                }
            } else if code.matches('_').count() > 2 && !code.contains(' ') {
                let name = code.trim_end_matches('…');
                assert!(
                    tests.contains(name),
                    "{page} names the test {code}, and tests/{target} does not have it"
                );
                found += 1;
            }
        }
        assert!(found > 0, "{page} names no test");
    }
}

/// Returns whether this is the name of a test target.
fn is_target(code: &str) -> bool {
    match code.strip_suffix('/') {
        Some(folder) => Path::new("tests").join(folder).join("main.rs").exists(),
        None => code.ends_with(".rs") && !code.contains('/'),
    }
}

/// Returns the code of a file, or of all files in a folder.
fn source(path: &str) -> String {
    let files = WalkDir::new(path).into_iter().map(|entry| {
        let entry = entry.unwrap_or_else(|error| panic!("a page names {path}: {error}"));
        entry.into_path()
    });
    files
        .filter(|path| path.is_file())
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}
