//! The links of a page, which lead to other pages in the book.

use std::ops::Range;
use std::path::{Component, Path, PathBuf};

use pulldown_cmark::{Event, Options, Parser, Tag};

/// A link or an inline code of a page, with its place in the text.
pub(crate) struct Found {
    pub(crate) range: Range<usize>,
    pub(crate) kind: Kind,
}

pub(crate) enum Kind {
    /// A link to this place.
    Link(String),
    /// Inline code with this text.
    Code(String),
}

/// Returns the links of a page and its inline code outside of links.
pub(crate) fn find(text: &str) -> Vec<Found> {
    let mut found = Vec::new();
    let mut link_end = 0;
    for (event, range) in Parser::new_ext(text, Options::ENABLE_TABLES).into_offset_iter() {
        let kind = match event {
            Event::Start(Tag::Link { dest_url, .. }) => {
                link_end = range.end;
                Kind::Link(dest_url.into_string())
            }
            Event::Start(Tag::Image { dest_url, .. }) => Kind::Link(dest_url.into_string()),
            Event::Code(code) if range.start >= link_end => Kind::Code(code.into_string()),
            _ => continue,
        };
        found.push(Found { range, kind });
    }
    found
}

/// Changes the links and the inline code of a page. `change` returns the new place of a link, or
/// the place that inline code should link to.
pub(crate) fn change(text: &str, mut change: impl FnMut(&Kind) -> Option<String>) -> String {
    let mut changes: Vec<(Range<usize>, String)> = Vec::new();
    for Found { range, kind } in find(text) {
        let Some(new) = change(&kind) else {
            continue;
        };
        let shown = &text[range.clone()];
        match &kind {
            Kind::Link(old) => {
                // A picture may be inside of a link, whose place stands at its end.
                if let Some(at) = shown.rfind(&**old) {
                    let start = range.start + at;
                    changes.push((start..start + old.len(), new));
                }
            }
            Kind::Code(_) => changes.push((range, format!("[{shown}]({new})"))),
        }
    }
    changes.sort_by_key(|(range, _)| range.start);
    let mut out = text.to_owned();
    // From the last to the first, so that the places stay right.
    for (range, new) in changes.into_iter().rev() {
        out.replace_range(range, &new);
    }
    out
}

/// Splits a link into its path and its anchor.
pub(crate) fn split(link: &str) -> (&str, Option<&str>) {
    match link.split_once('#') {
        Some((path, anchor)) => (path, Some(anchor)),
        None => (link, None),
    }
}

/// Returns the path that `link` has below the root, if it leads to a file. `page` is the path of
/// the page with the link.
pub(crate) fn target(page: &Path, link: &str) -> Option<PathBuf> {
    let (path, _) = split(link);
    if path.is_empty() || path.contains("://") {
        return None;
    }
    let mut target = page.parent()?.to_owned();
    for component in Path::new(path).components() {
        match component {
            Component::ParentDir => drop(target.pop()),
            Component::Normal(name) => target.push(name),
            _ => {}
        }
    }
    Some(target)
}

/// Returns the way from the page `from` to the page `to`.
pub(crate) fn relative(from: &Path, to: &Path) -> String {
    let up = from.components().count() - 1;
    "../".repeat(up) + &to.to_string_lossy()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_leads_to_its_new_place_and_keeps_its_text() {
        let page = "See [the `file`](../src/lib.rs#map) and\n[a page](pin.md).";
        let changed = change(page, |kind| match kind {
            Kind::Link(link) => link.strip_prefix("../").map(|link| format!("files/{link}")),
            Kind::Code(_) => None,
        });
        assert_eq!(
            changed,
            "See [the `file`](files/src/lib.rs#map) and\n[a page](pin.md)."
        );
    }

    #[test]
    fn a_picture_in_a_link_has_a_place_of_its_own() {
        let changed = change("[![x](a.svg)](b.md)", |kind| match kind {
            Kind::Link(link) => Some(format!("new/{link}")),
            Kind::Code(_) => None,
        });
        assert_eq!(changed, "[![x](new/a.svg)](new/b.md)");
    }

    #[test]
    fn inline_code_becomes_a_link_but_not_inside_of_a_link_or_a_block() {
        let page = "`diff a b` [`diff a b`](x.md)\n\n```sh\ndiff a b\n```\n";
        let changed = change(page, |kind| match kind {
            Kind::Code(code) if code == "diff a b" => Some("d.md".to_owned()),
            _ => None,
        });
        let expected = "[`diff a b`](d.md) [`diff a b`](x.md)\n\n```sh\ndiff a b\n```\n";
        assert_eq!(changed, expected);
    }

    #[test]
    fn a_target_is_named_from_the_root() {
        let page = Path::new("docs/pin.md");
        let target = |link| target(page, link);
        assert_eq!(target("../src/lib.rs#L1"), Some("src/lib.rs".into()));
        assert_eq!(target("six.md"), Some("docs/six.md".into()));
        assert_eq!(target("#here"), None);
        assert_eq!(target("https://example.org/a"), None);
    }
}
