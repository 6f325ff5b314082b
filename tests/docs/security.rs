//! The page on security.

use std::collections::BTreeSet;
use std::fs;

const SECURITY: &str = "docs/security.md";

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
