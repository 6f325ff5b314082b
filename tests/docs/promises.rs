//! The tests that pages name.

use std::fs;
use std::path::Path;

use walkdir::WalkDir;

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
