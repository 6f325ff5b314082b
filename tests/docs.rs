//! What the pages say of packages and tests is true of `Cargo.lock` and of `tests/`.

use std::collections::BTreeSet;
use std::fs;

const PAGE: &str = "docs/security.md";

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
    let page = fs::read_to_string(PAGE).unwrap();
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
    assert!(!named.is_empty(), "{PAGE} names no package");
    let gone: Vec<_> = named
        .iter()
        .filter(|name| !locked.contains(**name))
        .collect();
    assert!(
        gone.is_empty(),
        "{PAGE} speaks of {gone:?}, which Cargo.lock does not have: see which advisories concern \
         what it has, and mend the page"
    );
}

#[test]
fn the_security_page_explains_every_advisory_that_is_ignored() {
    let deny = table("deny.toml");
    let page = fs::read_to_string(PAGE).unwrap();
    let ignored = deny["advisories"]["ignore"].as_array().unwrap();
    assert!(!ignored.is_empty());
    for id in ignored {
        let id = id.as_str().unwrap();
        assert!(
            page.contains(id),
            "deny.toml ignores {id}, and {PAGE} does not say why"
        );
    }
}

/// A promise names the test that shows it, as `file.rs` and then its tests, of which the last part
/// may be left out with an ellipsis.
#[test]
fn the_tests_that_pages_name_are_there() {
    for page in ["docs/guarantees.md", "docs/security.md"] {
        let text = fs::read_to_string(page).unwrap();
        let (mut file, mut tests, mut found) = (String::new(), String::new(), 0);
        for code in text.split('`').skip(1).step_by(2) {
            if code.ends_with(".rs") && !code.contains('/') {
                file = format!("tests/{code}");
                tests = fs::read_to_string(&file)
                    .unwrap_or_else(|error| panic!("{page} names {file}: {error}"));
                if code == "clients.rs" {
                    tests += &fs::read_to_string("tests/harness/mod.rs").unwrap();
                }
            } else if code.matches('_').count() > 2 && !code.contains(' ') {
                let name = code.trim_end_matches('…');
                assert!(
                    tests.contains(name),
                    "{page} names the test {code}, and {file} does not have it"
                );
                found += 1;
            }
        }
        assert!(found > 0, "{page} names no test");
    }
}
