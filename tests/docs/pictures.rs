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

/// Returns the relative luminance of a colour such as `#1d4ed8`, as WCAG 2 defines it.
fn luminance(colour: &str) -> f64 {
    let channel = |at: usize| {
        let value = f64::from(u8::from_str_radix(&colour[at..at + 2], 16).unwrap()) / 255.0;
        if value <= 0.04045 {
            value / 12.92
        } else {
            ((value + 0.055) / 1.055).powf(2.4)
        }
    };
    0.2126 * channel(1) + 0.7152 * channel(3) + 0.0722 * channel(5)
}

fn contrast(one: &str, other: &str) -> f64 {
    let (one, other) = (luminance(one) + 0.05, luminance(other) + 0.05);
    one.max(other) / one.min(other)
}

/// Returns the colour that the rules for the night give to a line.
fn stroke_at_night<'a>(dark: &'a str, colour: &'a str) -> &'a str {
    let rule = format!("[stroke=\"{colour}\"] {{ stroke: ");
    let rest = dark.split(&rule).nth(1);
    rest.map_or(colour, |rest| &rest[..colour.len()])
}

#[test]
fn lines_stand_out_by_day_and_by_night() {
    let dark = fs::read_to_string(DARK).unwrap();
    // Lines of the colour of the page are the edges of letters, which cover other lines.
    let (day, night) = ("#ffffff", "#0f172a");
    for Picture { path, text, .. } in pictures() {
        let lines = values(&text, "stroke").filter(|colour| !["none", day].contains(colour));
        for line in lines {
            let at_night = stroke_at_night(&dark, line);
            assert!(contrast(line, day) >= 3.0, "{path:?}: {line} is faint");
            assert!(
                contrast(at_night, night) >= 3.0,
                "{path:?}: {line} is faint at night"
            );
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
