//! The tests that pages name.

use std::fs;
use std::path::Path;

use pulldown_cmark::Event;
use walkdir::WalkDir;

use super::pages;

/// A promise names the target of the test that shows it, as `file.rs` or `folder/`, and then the
/// tests of that target. An ellipsis stands for the end of a name.
#[test]
fn the_tests_that_pages_name_are_there() {
    for page in [
        "docs/client-api.md",
        "docs/guarantees.md",
        "docs/security.md",
    ] {
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

/// The other pages name a test without its target.
#[test]
fn the_tests_that_the_course_names_are_there() {
    let tests = source("tests") + &source("src");
    let mut found = 0;
    for page in pages() {
        let names = page.events().filter_map(|(event, _)| match event {
            Event::Code(code) => Some(code.rsplit("::").next().unwrap().to_owned()),
            _ => None,
        });
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let is_test = |name: &String| name.matches('_').count() > 3 && name.chars().all(is_name);
        for name in names.filter(is_test) {
            let is_there = tests.contains(&name);
            assert!(
                is_there,
                "{} names {name}, and no test has this name",
                page.path
            );
            found += 1;
        }
    }
    assert!(found > 0);
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
        .filter(|path| path.extension() == Some("rs".as_ref()))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect()
}
