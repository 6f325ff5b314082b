//! The pictures of the pages, which are readable by day and by night.

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use super::pages;

/// The folders of pictures, and whether they are drawn by hand.
const FOLDERS: [(&str, bool); 3] = [
    ("docs/pictures", true),
    ("docs/pictures/timeline", true),
    ("docs/performance", false),
];

/// The rules that change the colours at night. A picture has no other style, because a page shows
/// it as an image, which has to be complete.
const DARK: &str = "docs/pictures/dark.css";

/// Colours that are the same by day and by night: the solid ones of bars.
const SOLID: [&str; 6] = [
    "#2563eb", "#16a34a", "#d97706", "#dc2626", "#8b5cf6", "none",
];

struct Picture {
    path: PathBuf,
    text: String,
    is_by_hand: bool,
}

fn pictures() -> Vec<Picture> {
    let mut pictures = Vec::new();
    for (folder, is_by_hand) in FOLDERS {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "svg") {
                let text = fs::read_to_string(&path).unwrap();
                pictures.push(Picture {
                    path,
                    text,
                    is_by_hand,
                });
            }
        }
    }
    assert!(pictures.len() > 20);
    pictures
}

/// Returns the values of an attribute.
fn values<'a>(text: &'a str, attribute: &str) -> impl Iterator<Item = &'a str> {
    let before = format!(" {attribute}=\"");
    let after: Vec<_> = text.split(&before).skip(1).collect();
    after.into_iter().filter_map(|rest| rest.split('"').next())
}

#[test]
fn every_picture_has_the_colours_of_day_and_night() {
    let dark = fs::read_to_string(DARK).unwrap();
    let style = format!("<style>\n{dark}</style>\n");
    for Picture {
        path,
        text,
        is_by_hand,
    } in pictures()
    {
        assert!(
            text.contains(&style),
            "{path:?} has not the style of {DARK}"
        );
        let body = text.replace(&style, "");
        assert!(!body.contains("<style"), "{path:?} has another style, too");
        assert!(
            !is_by_hand || body.contains("<title"),
            "{path:?} has no title"
        );
        for attribute in ["fill", "stroke"] {
            for colour in values(&body, attribute) {
                let at_night = format!("[{attribute}=\"{colour}\"]");
                assert!(
                    SOLID.contains(&colour) || dark.contains(&at_night),
                    "{path:?}: {DARK} has no rule for {at_night}"
                );
            }
        }
    }
}

#[test]
fn every_picture_is_on_a_page() {
    let shown: BTreeSet<_> = pages().iter().flat_map(super::Page::links).collect();
    for Picture { path, .. } in pictures() {
        let from_page = path.strip_prefix("docs").unwrap().to_str().unwrap();
        let from_root = path.to_str().unwrap();
        let is_shown = shown.contains(from_page) || shown.contains(from_root);
        assert!(is_shown, "no page shows {path:?}");
    }
}
