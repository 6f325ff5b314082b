//! Links, and the names of headings.

use std::collections::{BTreeSet, HashMap};
use std::path::{Component, Path, PathBuf};

use super::{Page, SUMMARY, pages};

/// Returns the anchor that GitHub gives a heading.
pub fn anchor(heading: &str) -> String {
    let kept = |c: &char| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_');
    let heading = heading.to_lowercase();
    heading
        .chars()
        .filter(kept)
        .collect::<String>()
        .replace(' ', "-")
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

/// Returns the path without `..` in it.
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
